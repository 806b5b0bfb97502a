// One pipe.

class PipeView {
  constructor(name, command) {
    this.name = name;
    this.pill = el("span", { class: "pill" });
    this.degraded = el("span", { class: "pill degraded" }, "degraded");
    this.since = el("span", { class: "for" });
    this.buttons = {
      pause: el("button", { onclick: () => command(this, "pause") }, "Pause"),
      resume: el("button", { class: "primary", onclick: () => command(this, "resume") }, "Resume"),
      resync: el("button", { onclick: () => command(this, "resync") }, "Resync"),
    };
    this.says = el("p", { class: "says" });
    this.banners = el("div");
    this.course = el("div");
    this.overall = { text: el("span"), pct: el("span"), fill: el("i") };
    this.overall.bar = el("div", { class: "bar", role: "progressbar", "aria-label": "Load of all tables", "aria-valuemin": 0, "aria-valuemax": 100 }, this.overall.fill);
    this.overall.root = el("div", { class: "overall", hidden: "" }, el("p", null, this.overall.text, this.overall.pct), this.overall.bar);
    this.sparks = {
      rows_per_second: new Spark("Rows", (v) => [count(Math.round(v)), "/s"]),
      lag_seconds: new Spark("Lag", lag),
      lag_bytes: new Spark("Unconfirmed WAL", bytes),
      retained_bytes: new Spark("Retained WAL", bytes),
    };
    this.tables = new Tables((table) => command(this, "resync", table));
    this.root = el("article", { class: "card pipe", "aria-label": "Pipe " + name },
      el("div", { class: "head" }, el("h2", null, name), this.pill, this.degraded, this.since, el("div", { class: "actions" }, ...Object.values(this.buttons))),
      this.says, this.banners, this.course, this.overall.root,
      el("div", { class: "tiles" }, ...Object.values(this.sparks).map((s) => s.root)), this.tables.root);
  }

  show(model, busy) {
    const s = model.status;
    this.model = model;
    this.pill.className = "pill " + s.phase;
    put(this.pill, s.phase);
    this.degraded.hidden = !s.degraded.length;
    put(this.says, says(s));
    for (const [name, button] of Object.entries(this.buttons)) {
      button.hidden = !s.commands.includes(name);
      button.disabled = busy.has(this.name);
    }
    this.buttons.resume.className = s.failure && s.failure.class === "slot" ? "" : "primary"; // it would fail again
    this.showBanners(s);
    this.showCourse(s);
    this.showOverall(s, [...model.tables.values()]);
    this.showCharts(s, model.history);
    this.tables.show(model.tables, s);
    this.tick();
  }

  // age is how long the pipe has been in its phase, in seconds.
  age() {
    return (Date.now() + this.model.skew - Date.parse(this.model.status.since)) / 1000;
  }

  // tick writes what changes by the clock alone.
  tick() {
    put(this.since, "for " + span(this.age()));
  }

  showCourse(s) {
    const key = [s.phase, s.paused_from, s.failed_from, s.degraded.length > 0, narrow.matches].join();
    if (this.course.dataset.key === key) return;
    this.course.dataset.key = key;
    this.course.replaceChildren(course(s));
  }

  showBanners(s) {
    const key = JSON.stringify([s.failure, s.degraded]);
    if (this.banners.dataset.key === key) return;
    this.banners.dataset.key = key;
    this.banners.replaceChildren();
    const time = (before, at) => el("small", { title: at }, before + new Date(at).toLocaleString());
    if (s.failure) {
      const f = s.failure;
      this.banners.append(el("div", { class: "banner", role: "alert" },
        el("div", { class: "what" }, el("b", null, f.table ? `Failed at table ${f.table}` : "Failed"), el("code", null, f.class), time("", f.at)), ...because(f)));
    }
    for (const d of s.degraded) {
      this.banners.append(el("div", { class: "banner passing", role: "status" },
        el("div", { class: "what" }, el("b", null, `Trouble at the ${d.side}, trying again`), time("since ", d.since)), el("div", null, ...prose(d.reason))));
    }
  }

  showOverall(s, tables) {
    const loading = tables.filter((t) => t.chunks_total > 0 && (s.phase !== "resync" || t.phase === "resync"));
    const total = loading.reduce((n, t) => n + t.chunks_total, 0), done = loading.reduce((n, t) => n + t.chunks_done, 0);
    const o = this.overall, from = s.paused_from || s.failed_from || s.phase;
    o.root.hidden = !total || !["snapshot", "resync"].includes(from);
    o.root.className = "overall " + s.phase;
    const pct = total ? (100 * done) / total : 0;
    o.fill.style.width = pct + "%";
    o.bar.setAttribute("aria-valuenow", Math.round(pct));
    put(o.pct, pct.toFixed(1) + " %");
    put(o.text, `${count(loading.reduce((n, t) => n + t.rows, 0))} rows of ${loading.length} ${loading.length === 1 ? "table" : "tables"}`);
  }

  showCharts(s, history) {
    const present = { ...s.slot, rows_per_second: s.rows_per_second };
    const ofPhase = Math.floor(this.age() / history.interval_seconds);
    for (const [name, spark] of Object.entries(this.sparks)) {
      spark.show(present[name] === undefined ? [] : history[name], history.interval_seconds, present[name], ofPhase);
    }
    put(this.sparks.rows_per_second.note, bytes(s.received_bytes_per_second).join(" ") + "/s received");
    put(this.sparks.lag_seconds.note, s.commit_to_visible_seconds === undefined ? "" : "visible after " + lag(s.commit_to_visible_seconds).join(" "));
    put(this.sparks.lag_bytes.note, bytes(s.in_flight_bytes).join(" ") + " in flight");
    const [text, tone] = danger(s);
    put(this.sparks.retained_bytes.note, text);
    this.sparks.retained_bytes.note.className = "note " + tone;
  }
}

// because says why something failed, and what leads out of it.
function because(failure) {
  const parts = [el("div", { class: "reason" }, ...prose(failure.reason))];
  if (failure.fix) parts.push(el("div", { class: "fix" }, ...prose(failure.fix)));
  return parts;
}

// danger says how long the slot lasts.
function danger({ slot, phase }) {
  if (!slot) return [phase === "provisioning" || phase === "setup" ? "no slot yet" : "no slot", ""];
  if (slot.wal_status === "lost") return ["the slot is lost", "bad"];
  const left = slot.seconds_to_loss;
  if (left !== undefined && left < 7 * 86400) return [`lost in ${span(left)} at this rate`, left < 3600 ? "bad" : left < 86400 ? "warn" : ""];
  if (slot.wal_status === "unreserved") return ["about to be lost", "bad"];
  if (slot.safe_wal_bytes !== undefined) return [bytes(slot.safe_wal_bytes).join(" ") + " to spare", ""];
  return ["no limit is set", ""];
}

const stoppedWhile = {
  provisioning: " while checking both ends", setup: " while creating the tables", snapshot: " while copying the tables",
  running: " while streaming changes", resync: " while loading tables anew",
};

// says puts a status into a sentence.
function says(s) {
  const sides = s.degraded.map((d) => "the " + d.side).join(" and ");
  return sides ? sentence(s).replace(/\.$/, `, held up at ${sides}.`) : sentence(s);
}

function sentence(s) {
  const tables = Object.values(s.table_count).reduce((a, b) => a + b, 0);
  switch (s.phase) {
    case "provisioning": return "Connecting to both ends and checking them.";
    case "setup": return "Creating the tables at the destination.";
    case "snapshot": return `Copying ${tables === 1 ? "one table as it was" : tables + " tables as they were"} when ${s.slot ? "the slot was made" : "this began"}.`;
    case "running": return s.resync.length ? `Streaming changes, about to load ${s.resync.length === 1 ? "one table" : s.resync.length + " tables"} anew.` : "Streaming changes.";
    case "pausing": return `Reading nothing more while ${bytes(s.in_flight_bytes).join(" ")} in flight drain.`;
    case "paused": return s.slot ? "Reading nothing. The source keeps its WAL for this pipe until it is resumed." : "Reading nothing until it is resumed.";
    case "resync": return `Loading ${s.resync.length === 1 ? "one table" : s.resync.length + " tables"} anew, beside the ones that serve.`;
    case "completed": return "The snapshot is taken; nothing is left to read.";
    case "failed": return `Stopped${stoppedWhile[s.failed_from] || ""}.` + (s.failure && s.failure.class === "slot" ? "" : " It goes on from there when resumed.");
  }
  return "";
}
