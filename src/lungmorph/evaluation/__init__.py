"""Methods judged on the cases of a dataset, summed up, compared, and shown beside published figures."""
