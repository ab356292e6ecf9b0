"use strict";
// Tables of class "sortable": a click on a head sorts by it, a second one the other way round.
for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    head.tabIndex = 0;
    const sort = () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const [x, y] = [key(a), key(b)], both = x !== "" && y !== "" && !isNaN(x) && !isNaN(y);
        if ((x === "") !== (y === "")) return x === "" ? 1 : -1; // what is missing comes last
        return (down ? -1 : 1) * (both ? x - y : x.localeCompare(y, undefined, { numeric: true }));
      });
      table.tBodies[0].append(...rows);
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
  });
}
