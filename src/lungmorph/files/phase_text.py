"""What the words of a DICOM header say about a scan: its breathing phase, or what else it is.

Scanners and planning systems have no common way to write a phase: "T=50%", "50% Ex", "Gated, 50.0%A",
"CT 50 %", "100%In/0%Ex", "Phase 3/10". A number counts only with a per cent sign, or right after a
word for phase; one that belongs to the reconstruction ("ASIR 30%") or to the heart does not count.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

INHALE, EXHALE = "In", "Ex"
AVERAGE = "average"
PROJECTIONS = MINIP, MIP = ("minimum intensity projection", "maximum intensity projection")


@dataclass(frozen=True)
class Label:
    """A phase as it is written.

    Attributes:
        value: the number.
        side: "In" or "Ex" where the name says so.
        twin: the second name of a phase with two ("100%In/0%Ex"), as (value, side).
        unit: "percent", "index" (3 of ``total``), or "number" where only the whole set can tell.
        total: number of phases, where it is written.
        amplitude: whether the text around it says that it is one, and no share of time.
        worded: whether only a word says it: 0 % for the end of inhale, 50 % for that of exhale.
        upto: the upper end, where a range is written of which the value is the lower one ("0-10 %").
    """

    value: float
    side: str = ""
    twin: tuple[float, str] | None = None
    unit: str = "percent"
    total: int | None = None
    amplitude: bool = field(default=False, compare=False)
    upto: float | None = field(default=None, compare=False)
    worded: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        if self.unit == "index":
            return f"{self.value:.15g}" + (f"/{self.total}" if self.total else "")
        percent = "%" if self.unit == "percent" else ""
        return f"{self.value:.15g}{percent}" + (f" {self.side}" if self.side else "")


#: As English and the Romance languages have it (Italian and Spanish "esp..."), then German, Dutch, Scandinavian,
#: Polish, Russian, Chinese and Japanese.
_WORD = r"(?:h|p|hale|halation|sp|s?pi|s?pir[^\W\d_]*)"
_INHALING = rf"in{_WORD}|einatm(?:ung|en)?|inadem(?:ing|en)?|inandning|wdech|вдох|吸[气気]"
_EXHALING = rf"ex{_WORD}|espir[^\W\d_]*|ausatm(?:ung|en)?|uitadem(?:ing|en)?|utandning|wydech|выдох|呼[气気]"
_SIDE = rf"(?:(?P<inhale>in|{_INHALING})|(?P<exhale>ex|{_EXHALING}))(?![a-zäöüé])"
_PERCENT = re.compile(
    r"(?<![\d.,])(?P<value>\d{1,3}(?:[.,]\d+)?)\s*(?:%|pct(?![a-z])|percent)"
    rf"(?:[\s_]*(?:{_SIDE}|(?:(?P<ein>ein)|(?P<aus>aus))(?![a-zäöü])))?",
    re.IGNORECASE,
)
#: A word for an end of the breath by itself ("END INSP", "Exhale", "Expiration 1.0").
_END = re.compile(
    rf"(?<![a-z])(?:end|max)?(?:(?P<inhale>{_INHALING})|(?P<exhale>{_EXHALING}))(?![a-z])",
    re.IGNORECASE,
)
_AMPLITUDE = re.compile(r"(?<![a-z])amp(?:l|litud\w*)?(?![a-z])", re.IGNORECASE)
_SIDED = re.compile(r"(?<![\d.,])(?P<value>\d{1,3})(?P<side>In|Ex|IN|EX)(?![A-Za-z])")
_SIDE_FIRST = re.compile(rf"(?<![a-z]){_SIDE}[\s_:=-]*$", re.IGNORECASE)
#: What a percentage belongs to that is none of the breath: GE blends, and the heart.
_BLEND = r"asir(?:[\s_-]?v)?"
_HEART = r"bestdiast|bestsyst|r-?r|cardiac|ecg|ekg|heart|diast\w*|syst\w*"
_BEFORE = re.compile(rf"(?<![a-z])(?:{_BLEND}|{_HEART})[\s_:=(\[-]*$", re.IGNORECASE)
_AFTER = re.compile(
    rf"^[\s_:=-]*(?:{_BLEND}|{_HEART}|dose|contrast|ma|mas|kvp?|o2|blend)(?![a-z])",
    re.IGNORECASE,
)
#: All that an average or a projection was made of ("0-100%", "0% to 90%").
_RANGE = re.compile(
    r"(?<![\d.,])(?:0|\d{1,3}\s*%)\s*(?:-|\u2013|to|bis)\s*\d{1,3}\s*%", re.IGNORECASE
)
#: A bin of a breath that is written as a range of percents.
_BIN = re.compile(
    r"(?<![\d.,])(?P<low>\d{1,3}(?:\.\d+)?)\s*%?\s*(?:-|\u2013|to|bis)\s*(?P<high>\d{1,3}(?:\.\d+)?)\s*%",
    re.IGNORECASE,
)
_WIDEST_BIN = 25.0
_CONTRAST = re.compile(r"(?<![a-z])contrast[\s_:=(\[-]*$", re.IGNORECASE)
_MARKED = re.compile(
    r"(?<![a-z])(?:t\s*=|phase|ph|gated?|resp\w*|bin|breath\w*)[\s_,:=#-]*$", re.IGNORECASE
)
_PHASE = r"(?<![a-z])(?:phase|fase|phs|ph)[\s_,:=#-]*"
_OTHER = r"(?<![a-z])(?:resp(?:iratory)?|gated?|bin|vol(?:ume)?|time[\s_-]?point)[\s_,:=#-]*"
_INDEX = re.compile(
    rf"(?:{_PHASE}|{_OTHER})(?P<value>\d{{1,2}})\s*(?:/|of|von|de|di|van|sur)\s*(?P<total>\d{{1,2}})(?![\d/])",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    rf"(?:(?:{_PHASE}|(?<![a-z0-9])t\s*=\s*)(?P<value>\d{{1,3}}(?:\.\d+)?)"
    rf"|(?:{_OTHER}|(?<![a-z0-9])t_?)(?P<whole>\d{{1,3}}))"
    r"(?![\d.,/%]|\s*(?:mm|ms|s|%)(?![a-z]))",
    re.IGNORECASE,
)

_KINDS = {
    "localizer": r"locali[sz]er|topogram|topo|scout|surview|scano(?:gram|scope)?|pilot",
    MINIP: r"min[\s_-]?ip|minimum[\s_-]intensity",
    MIP: r"mip|max[\s_-]?ip|maximum[\s_-]intensity",
    AVERAGE: r"av(?:g|e|er|erage)?[\s_-]?ip|avg|ave|aver|average[ds]?|aip|mean|untagged|mittel\w*"
    r"|durchschnitt\w*|moyenne",
    "cone-beam CT": r"cone[\s_-]?beam|on[\s_-]?board[\s_-]?imager|obi|xvi",
}
#: With a "t" or "CT" before ("tMIP": over the time) or a plural or "CT" behind ("AveCT").
_KIND = {
    kind: re.compile(rf"(?<![a-z])(?:c?t)?(?:{words})(?:s|ct)?(?![a-z])", re.IGNORECASE)
    for kind, words in _KINDS.items()
}
#: Values of ImageType.
_IMAGE_TYPES = {
    "LOCALIZER": "localizer",
    "MIP": MIP,
    "MAXIMUM": MIP,
    "MAX_IP": MIP,
    "MINIP": MINIP,
    "MINIMUM": MINIP,
    "MIN_IP": MINIP,
    "AVERAGE": AVERAGE,
    "AVG": AVERAGE,
    "MEAN": AVERAGE,
    "MEDIAN": AVERAGE,
}
#: Scans of TCIA 4D-Lung are numbered S1xx on the treatment machine and S3xx on the CT scanner.
_CONE_BEAM_4D_LUNG = re.compile(r"^P\d+\^P\d+\^S1\d\d\^")


def kind_of(text: str, image_type: str = "") -> str:
    """What a scan is that is no phase ("average", "localizer", ...); empty if nothing says so.

    Args:
        text: description of its series.
        image_type: its ImageType, values joined by a backslash.
    """
    if _CONE_BEAM_4D_LUNG.match(text) or "cbct" in text.lower():
        return "cone-beam CT"
    for value in image_type.upper().split("\\"):
        if value.strip() in _IMAGE_TYPES:
            return _IMAGE_TYPES[value.strip()]
    plain = re.sub(r"4d(?:ct)?|\d+|_", " ", text, flags=re.IGNORECASE)
    return next((kind for kind, words in _KIND.items() if words.search(plain)), "")


def labels_of(texts: Sequence[str]) -> list[Label | None]:
    """The phase that each of several texts names; what all of them have in common is none.

    None where a text names no phase, or more than one so that it cannot be told which is meant.
    """
    if any(bins := _bins(texts)):
        return bins
    found = [_twins([label for label, _ in _candidates(text)]) for text in texts]
    if not any(found):
        numbers = _bare_numbers(texts)
        return numbers if any(numbers) else _ends(texts)
    several = [set(map(str, labels)) for labels in found if labels]
    common = set.intersection(*several) if len(several) > 1 else set()
    if len({tuple(map(str, labels)) for labels in found if labels}) == 1:
        if others := _beside_the_same(texts):
            return others
        common = set()  # one and the same text everywhere
    return [_one(labels, common) for labels in found]


def _beside_the_same(texts: Sequence[str]) -> list[Label | None]:
    """What texts of one and the same percentage ("50% overlap, T10") name beside it; empty if nothing that differs."""
    bare = []
    for text in texts:
        for start, end in (span for _, span in _candidates(text)):
            text = text[:start] + " " * (end - start) + text[end:]
        bare.append(text)
    labels = labels_of(bare) if bare != list(texts) else []
    return labels if len({str(label) for label in labels if label}) > 1 else []


def without_phase(text: str, blur: bool = False) -> str:
    """A text without its phase: it tells two reconstructions of the same phases apart.

    ``blur`` makes all other numbers alike, for texts that count their series.
    """
    text = _BIN.sub(lambda bin: "~" if _width(bin) else bin[0], text)
    for start, end in sorted((span for _, span in _candidates(text)), reverse=True):
        text = text[:start] + "~" + text[end:]
    if blur:
        text = re.sub(r"\d+", "#", text)
    return re.sub(r"[\s_,;:-]+", " ", text).strip().lower()


def _candidates(text: str) -> list[tuple[Label, tuple[int, int]]]:
    """Every phase that a text may name, and where it stands."""
    text = _RANGE.sub(_blank, text)
    is_4d = "4d" in text.lower()  # then contrast says of what, and no share of it
    marked: list[tuple[Label, tuple[int, int]]] = []
    plain: list[tuple[Label, tuple[int, int]]] = []
    for match in _PERCENT.finditer(text):
        before, after = text[: match.start()], text[match.end() :]
        value = float(match["value"].replace(",", "."))
        if value > 100 or _BEFORE.search(before) or _AFTER.search(after):
            continue
        if _CONTRAST.search(before) and not is_4d:
            continue
        first = _SIDE_FIRST.search(before)
        side = _side(match) or (_side(first) if first else "")
        label = Label(value, side, amplitude=bool(_AMPLITUDE.search(text)))
        found = label, (first.start() if first else match.start(), match.end())
        (marked if side or _MARKED.search(before) else plain).append(found)
    if marked or plain:
        return marked or plain
    for match in _SIDED.finditer(text):  # "50Ex"
        if float(match["value"]) <= 100:
            return [(Label(float(match["value"]), match["side"].capitalize()), match.span())]
    for match in _INDEX.finditer(text):
        if int(match["value"]) <= int(match["total"]):
            label = Label(float(match["value"]), unit="index", total=int(match["total"]))
            return [(label, match.span())]
    numbers = [(float(m["value"] or m["whole"]), m.span()) for m in _NUMBER.finditer(text)]
    return [(Label(value, unit="number"), span) for value, span in numbers if value <= 100]


def _side(found: re.Match[str]) -> str:
    """ "In", "Ex" or nothing."""
    said = {name for name, words in found.groupdict().items() if words}
    if said & {"inhale", "ein"}:
        return INHALE
    return EXHALE if said & {"exhale", "aus"} else ""


def _blank(found: re.Match[str]) -> str:
    """Spaces of the same length, unless the first number belongs to something else ("ASIR 30%-50%")."""
    is_none = _BEFORE.search(found.string[: found.start()])
    return found[0] if is_none else " " * len(found[0])


def _bins(texts: Sequence[str]) -> list[Label | None]:
    """Ranges of one width that most of the texts have ("0-10 %", "10-20 %"), each by its lower end."""
    found = [_BIN.search(text) for text in texts]
    widths = Counter(width for bin in found if bin and (width := _width(bin)))
    width, count = widths.most_common(1)[0] if widths else (0.0, 0)
    labels = [
        Label(float(bin["low"]), upto=float(bin["high"])) if bin and _width(bin) == width else None
        for bin in found
    ]
    several = len({label.value for label in labels if label}) >= 4
    return labels if several and count >= len(texts) / 2 else [None] * len(texts)


def _width(found: re.Match[str]) -> float:
    """Percent; 0 of what is no bin of a breath: an average over it, or a share of something else before the phase."""
    width = float(found["high"]) - float(found["low"])
    other = _BEFORE.search(found.string[: found.start()])
    return width if 0 < width <= _WIDEST_BIN and not other else 0.0


def _bare_numbers(texts: Sequence[str]) -> list[Label | None]:
    """Phases without any sign: texts that differ in one number alone, 0, 10, ... 90 or steps like these."""
    labels: list[Label | None] = [None] * len(texts)
    alike: dict[str, list[int]] = defaultdict(list)
    for i, text in enumerate(texts):
        alike[re.sub(r"\d+", "#", text)].append(i)
    for members in alike.values():
        rows = [re.findall(r"\d+", texts[i]) for i in members]
        varied = [column for column in zip(*rows, strict=True) if len(set(column)) > 1]
        if len(varied) != 1 or len(set(varied[0])) < 4:
            continue
        values = sorted({float(v) for v in varied[0]})
        step = 100 / len(values)
        if all(abs(v - k * step) < 1 for k, v in enumerate(values)):
            for i, v in zip(members, varied[0], strict=True):
                labels[i] = Label(float(v))
    return labels


def _ends(texts: Sequence[str]) -> list[Label | None]:
    """The two ends of a breath, where one text alone says inhale and one alone says exhale."""
    found = [{_side(word) for word in _END.finditer(text)} for text in texts]
    sides = [one.pop() if len(one) == 1 else "" for one in found]
    if (sides.count(INHALE), sides.count(EXHALE)) != (1, 1):
        return [None] * len(texts)
    ends = {INHALE: Label(0.0, worded=True), EXHALE: Label(50.0, worded=True)}
    return [ends.get(side) for side in sides]


def _twins(labels: list[Label]) -> list[Label]:
    """ "100%In/0%Ex" is one phase with two names."""
    if len(labels) == 2 and {label.side for label in labels} == {INHALE, EXHALE}:
        first, second = labels
        twin = (second.value, second.side)
        return [Label(first.value, first.side, twin, amplitude=first.amplitude)]
    return labels


def _one(labels: list[Label], common: set[str]) -> Label | None:
    if len(labels) > 1 and common:
        counts = Counter(common)
        kept = []
        for label in labels:
            if counts[str(label)] > 0:
                counts[str(label)] -= 1
            else:
                kept.append(label)
        labels = kept or labels[:1]
    distinct = list(dict.fromkeys(labels))
    return distinct[0] if len(distinct) == 1 else None
