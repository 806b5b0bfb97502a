// The page: an event stream in, commands out.

const token = {
  get value() { return sessionStorage.getItem("penstock-token") || ""; },
  set value(v) { sessionStorage.setItem("penstock-token", v); },
};
const at = (id) => document.getElementById(id);
const models = new Map(); // by pipe: what the stream has told
const views = new Map();
const busy = new Set(); // pipes with a command under way
let planned = false;

function headers() {
  return token.value ? { Authorization: "Bearer " + token.value } : {};
}

// render draws once for however many events came.
function render() {
  if (planned) return;
  planned = true;
  requestAnimationFrame(() => {
    planned = false;
    const ready = [...models].filter(([, m]) => m.status && m.history);
    for (const [name, view] of views) if (!models.has(name)) { view.root.remove(); views.delete(name); }
    for (const [name, model] of ready) {
      let view = views.get(name);
      if (!view) { views.set(name, (view = new PipeView(name, command))); at("pipes").append(view.root); }
      view.show(model, busy);
    }
    document.title = ready.length ? ready.map(([name, m]) => `${name}: ${m.status.phase}`).join(", ") + " – Penstock" : "Penstock";
  });
}

// What each event does to the model. The first tables of a connection are all.
const on = {
  pipes({ pipes }) {
    at("empty").hidden = pipes.length > 0;
    for (const name of models.keys()) if (!pipes.includes(name)) models.delete(name);
    for (const name of pipes) if (!models.has(name)) models.set(name, { tables: new Map(), skew: 0 });
  },
  status({ pipe, now, status }) {
    const m = models.get(pipe);
    m.status = status;
    m.skew = Date.parse(now) - Date.now();
  },
  tables({ pipe, tables, gone }, connection) {
    const m = models.get(pipe);
    if (!connection.told.has(pipe)) { connection.told.add(pipe); m.tables = new Map(); }
    for (const t of tables) m.tables.set(t.name, t);
    for (const name of gone) m.tables.delete(name);
  },
  history(h) { models.get(h.pipe).history = h; },
  sample(s) {
    const h = models.get(s.pipe).history;
    for (const name of ["rows_per_second", "received_bytes_per_second", "lag_bytes", "lag_seconds", "retained_bytes"]) {
      h[name].push(s[name]);
      if (h[name].length > points) h[name].shift();
    }
  },
};

function event(block, connection) {
  let name = "", data = "";
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    if (line.startsWith("data: ")) data += line.slice(6);
  }
  if (!on[name]) return;
  on[name](JSON.parse(data), connection);
  render();
}

const quiet = 40000; // ms; the server says something every 15 s

// listen reads one stream to its end. fetch, not EventSource: the token goes
// into a header, never into an address.
async function listen() {
  const stop = new AbortController();
  let watch = setTimeout(() => stop.abort(), quiet);
  try {
    const answer = await fetch("/v1/events", { headers: headers(), signal: stop.signal, cache: "no-store" });
    if (answer.status === 401) return "token";
    if (!answer.ok) return "off";
    live("on", "live");
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const connection = { told: new Set() };
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return "off";
      clearTimeout(watch);
      watch = setTimeout(() => stop.abort(), quiet);
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) event(block, connection);
    }
  } catch {
    return "off";
  } finally {
    clearTimeout(watch);
  }
}

function live(state, text) {
  at("live").className = "live " + state;
  put(at("live").lastChild, text);
  document.body.classList.toggle("stale", state === "off" && models.size > 0);
}

async function run() {
  for (let wait = 500; ; wait = Math.min(wait * 2, 8000)) {
    const began = Date.now(), end = await listen();
    if (end === "token") { await askToken(); wait = 250; continue; }
    live("off", "not connected, trying again");
    if (Date.now() - began > 5000) wait = 500;
    await new Promise((r) => setTimeout(r, wait * (0.75 + Math.random() / 2)));
  }
}

function askToken() {
  const gate = at("gate"), form = gate.querySelector("form");
  live("", "waiting for the token");
  put(gate.querySelector(".bad"), token.value ? "That is not the token." : "");
  models.clear();
  render();
  gate.hidden = false;
  form.token.value = "";
  form.token.focus();
  return new Promise((done) => {
    form.onsubmit = (e) => {
      e.preventDefault();
      token.value = form.token.value;
      gate.hidden = true;
      done();
    };
  });
}

function ask(title, text, yes) {
  const dialog = at("ask");
  put(dialog.querySelector("h2"), title);
  put(dialog.querySelector("p"), text);
  put(dialog.querySelector("[value=yes]"), yes);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((done) => { dialog.onclose = () => done(dialog.returnValue === "yes"); });
}

function notice(text) {
  const n = el("div", { class: "notice" }, text);
  at("notices").append(n);
  setTimeout(() => n.remove(), 10000);
}

// command sends one to a pipe; a resync is asked about first.
async function command(view, name, table) {
  const s = view.model.status;
  if (name === "resync") {
    const lost = s.phase === "failed";
    const ok = await ask(table ? `Load ${table} anew?` : `Load every table of ${view.name} anew?`,
      (table ? "The table is" : "All its tables are") + " read from the source again. Until the new data are complete the old ones " +
      (lost ? "stay as they are" : "go on serving and receive changes") + "; then they are swapped at once.", "Resync");
    if (!ok) return;
  }
  const path = "/v1/pipes/" + encodeURIComponent(view.name) + (table ? "/tables/" + encodeURIComponent(table) : "") + "/" + name;
  busy.add(view.name);
  render();
  try {
    const answer = await fetch(path, { method: "POST", headers: headers() });
    const body = await answer.json();
    if (!answer.ok) notice(body.error + (body.fix ? ": " + body.fix : ""));
    else if (models.has(view.name)) models.get(view.name).status = body;
  } catch {
    notice(`The ${name} did not reach the pipe.`);
  } finally {
    busy.delete(view.name);
    render();
  }
}

setInterval(() => { for (const v of views.values()) v.tick(); }, 1000);
narrow.addEventListener("change", render);
live("", "connecting");
run();
