// The tables of a pipe.

const mostRows = 100; // a page of thousands of rows helps nobody: search finds the rest

// A table of a pipe that rests is loaded, but nothing of it runs.
const resting = ["pausing", "paused", "completed", "failed"];

function tablePhase(phase, status) {
  return phase === "running" && resting.includes(status.phase) ? "loaded" : phase;
}

const rank = { failed: 0, snapshot: 1, resync: 1, pending: 2, running: 3, removed: 4 };

function isLoading(t) {
  return t.chunks_total > 0 && (t.phase === "snapshot" || t.phase === "resync" || (t.phase !== "running" && t.phase !== "removed" && t.chunks_done > 0 && t.chunks_done < t.chunks_total));
}

class TableRow {
  constructor(name, resync) {
    const dot = name.indexOf(".");
    this.name = el("div", { class: "table", role: "rowheader", title: name }, el("i", null, name.slice(0, dot + 1)), name.slice(dot + 1));
    this.pill = el("span", { class: "pill slim" });
    this.fill = el("i");
    this.bar = el("div", { class: "bar", role: "progressbar", "aria-label": "Load of " + name, "aria-valuemin": 0, "aria-valuemax": 100 }, this.fill);
    this.pct = el("span", { class: "pct" });
    this.load = el("div", { class: "load", role: "cell" });
    this.rows = el("div", { class: "n rows", role: "cell" });
    this.changes = el("div", { class: "n changes", role: "cell" });
    this.button = el("button", { class: "small", "aria-label": "Resync " + name, onclick: () => resync(name) }, "Resync");
    this.why = el("div", { class: "why", role: "cell" });
    this.root = el("div", { class: "row", role: "row" }, this.name, el("div", { class: "phase", role: "cell" }, this.pill), this.load, this.rows, this.changes,
      el("div", { class: "do", role: "cell" }, this.button), this.why);
  }

  show(t, status, resyncable) {
    const asked = t.resync && t.phase !== "resync", phase = tablePhase(t.phase, status);
    this.pill.className = "pill slim " + (asked ? "resync" : phase);
    put(this.pill, asked ? "resync asked" : phase);
    const loading = isLoading(t);
    if (loading) {
      const done = Math.min(100, (100 * t.chunks_done) / t.chunks_total);
      this.fill.style.width = done + "%";
      this.bar.setAttribute("aria-valuenow", Math.round(done));
      this.bar.className = "bar " + t.phase;
      put(this.pct, Math.floor(done) + " %");
      if (!this.load.firstChild) this.load.append(this.bar, this.pct);
    } else this.load.replaceChildren();
    put2(this.rows, t.rows ? count(t.rows) : "–", t.rows ? "rows" : "");
    this.rows.classList.toggle("none", !t.rows);
    const c = t.changes;
    const parts = [["+", c.insert], ["~", c.update], ["−", c.delete]].filter(([, n]) => n > 0);
    put(this.changes, parts.map(([sign, n]) => sign + compact.format(n)).join("  ") || "–");
    this.changes.title = `${whole.format(c.insert)} inserts, ${whole.format(c.update)} updates, ${whole.format(c.delete)} deletes, ${whole.format(c.truncate)} truncates since this process began`;
    this.button.hidden = !resyncable || t.resync || t.phase === "removed" || t.phase === "pending" || t.phase === "snapshot";
    const f = t.failure;
    this.why.hidden = !f;
    if (f) this.why.replaceChildren(...because(f));
  }
}

class Tables {
  constructor(resync) {
    this.resync = resync;
    this.rows = new Map();
    this.count = el("span");
    this.search = el("input", { type: "search", placeholder: "Find a table", "aria-label": "Find a table", oninput: () => this.show(this.tables, this.status) });
    this.list = el("div", { class: "list", role: "rowgroup" });
    this.more = el("div", { class: "more" });
    this.root = el("section", { class: "tables" },
      el("div", { class: "bar-top" }, el("h3", null, "Tables", this.count), this.search),
      el("div", { role: "table", "aria-label": "Tables" },
        el("div", { role: "rowgroup" }, el("div", { class: "legend", role: "row" }, ...["Table", "Phase", "Load", "Loaded", "Changes", ""].map((t) => el("span", { role: "columnheader" }, t)))),
        this.list), this.more);
  }

  show(tables, status) {
    this.tables = tables;
    this.status = status;
    const all = [...tables.values()], wanted = this.search.value.trim().toLowerCase();
    this.root.hidden = !all.length;
    this.root.classList.toggle("idle", !all.some(isLoading));
    this.search.hidden = all.length < 12;
    const shown = all.filter((t) => t.name.toLowerCase().includes(wanted))
      .sort((a, b) => (rank[a.phase] ?? 9) - (rank[b.phase] ?? 9) || (a.name < b.name ? -1 : 1));
    const parts = Object.entries(status.table_count).sort((a, b) => rank[a[0]] - rank[b[0]]).map(([p, n]) => `${n} ${tablePhase(p, status)}`);
    put(this.count, parts.join(" · "));
    const resyncable = status.commands.includes("resync"), keep = new Set();
    shown.slice(0, mostRows).forEach((t, i) => {
      let row = this.rows.get(t.name);
      if (!row) this.rows.set(t.name, (row = new TableRow(t.name, this.resync)));
      row.show(t, status, resyncable);
      keep.add(t.name);
      if (this.list.children[i] !== row.root) this.list.insertBefore(row.root, this.list.children[i] || null);
    });
    for (const [name, row] of this.rows) {
      if (!keep.has(name)) {
        row.root.remove();
        this.rows.delete(name);
      }
    }
    this.more.hidden = shown.length <= mostRows && (shown.length > 0 || !wanted);
    put(this.more, shown.length > mostRows ? `${whole.format(shown.length - mostRows)} more: search to see them` : "No table of that name");
  }
}
