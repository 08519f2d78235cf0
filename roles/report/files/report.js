/*
Copyright (c) 2026, The ckpool.fleet contributors
GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
SPDX-License-Identifier: GPL-3.0-or-later

Sorts and filters tables, and says how old the page is. Without it the page shows the same, in its own order.
*/
"use strict";
(function () {
  function keyOf(row, place) {
    const cell = row.cells[place];
    const number = parseFloat(cell.dataset.v);
    return Number.isNaN(number) ? cell.textContent.trim() : number;
  }

  // What is not known comes last in both directions.
  function compare(one, other, sign) {
    const isNone = (key) => key === "-" || key === "";
    if (isNone(one) || isNone(other)) return isNone(one) - isNone(other);
    if (typeof one === "number" && typeof other === "number") return sign * (one - other);
    return sign * String(one).localeCompare(String(other), "en", { numeric: true });
  }

  function sort(table, place, direction) {
    const body = table.tBodies[0];
    const sign = direction === "ascending" ? 1 : -1;
    const rows = Array.from(body.rows, (row) => [keyOf(row, place), row]);
    rows.sort((one, other) => compare(one[0], other[0], sign));
    body.append(...rows.map((pair) => pair[1]));
    for (const head of table.tHead.rows[0].cells) head.removeAttribute("aria-sort");
    table.tHead.rows[0].cells[place].setAttribute("aria-sort", direction);
  }

  function makeSortable(table) {
    Array.from(table.tHead.rows[0].cells).forEach((head, place) => {
      if (head.classList.contains("chart")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const first = head.classList.contains("number") || head.classList.contains("time") ? "descending" : "ascending";
        const second = first === "ascending" ? "descending" : "ascending";
        sort(table, place, head.getAttribute("aria-sort") === first ? second : first);
      });
    });
  }

  function makeFilter(input) {
    const table = document.getElementById(input.dataset.filter);
    const output = input.parentElement.querySelector("output");
    const rows = Array.from(table.tBodies[0].rows);
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += row.hidden ? 0 : 1;
      }
      output.textContent = words.length ? shown + " of " + rows.length + " rows" : rows.length + " rows";
    });
  }

  function showAge() {
    const minutes = Math.floor((Date.now() - Date.parse(document.getElementById("generated").dateTime)) / 60000);
    const old = document.getElementById("old");
    old.hidden = minutes < 60;
    old.textContent = minutes < 2880 ? "That is " + Math.floor(minutes / 60) + " h ago." : "That is " + Math.floor(minutes / 1440) + " days ago.";
  }

  document.querySelectorAll("table[data-sortable]").forEach(makeSortable);
  document.querySelectorAll("input[data-filter]").forEach(makeFilter);
  showAge();
  setInterval(showAge, 60000);
})();
