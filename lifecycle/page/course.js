// The life cycle as a water course: the way a pipe has come is filled, water
// moves where data move.

const wide = {
  box: "0 0 1000 158",
  at: {
    provisioning: [62, 62], setup: [212, 62], snapshot: [362, 62], running: [532, 62], resync: [736, 18],
    pausing: [736, 62], paused: [920, 62], completed: [532, 128], failed: [736, 128],
  },
  below: true,
  ways: {
    "provisioning setup": "M62 62H212", "setup snapshot": "M212 62H362", "snapshot running": "M362 62H532",
    "snapshot completed": "M362 62H392C450 62 430 128 500 128H532",
    "running resync": "M532 62H566C640 62 620 18 690 18H736", "running pausing": "M532 62H736", "pausing paused": "M736 62H920",
    "running failed": "M532 62H566C650 62 620 128 696 128H736",
  },
};
const tall = {
  box: "0 0 340 266",
  at: {
    provisioning: [24, 22], setup: [24, 70], snapshot: [24, 118], running: [24, 178], completed: [190, 118],
    resync: [190, 156], pausing: [190, 200], paused: [190, 244], failed: [24, 244],
  },
  below: false,
  ways: {
    "provisioning setup": "M24 22V70", "setup snapshot": "M24 70V118", "snapshot running": "M24 118V178",
    "snapshot completed": "M118 118H190", "running resync": "M112 178H128C162 178 134 156 170 156H190",
    "running pausing": "M112 178H128C162 178 134 200 170 200H190", "pausing paused": "M190 200V244", "running failed": "M24 178V244",
  },
};
const narrow = matchMedia("(max-width: 560px)");

const order = ["provisioning", "setup", "snapshot", "running"];

// cameBy returns the stations and ways that lie behind a status.
function cameBy(s) {
  const from = s.paused_from || s.failed_from || "";
  const onMain = order.includes(s.phase) ? s.phase : order.includes(from) ? from : s.phase === "completed" ? "snapshot" : "running";
  const reached = order.slice(0, order.indexOf(onMain) + 1);
  const ways = reached.slice(1).map((p, i) => reached[i] + " " + p);
  if (s.phase === "completed") ways.push("snapshot completed");
  if (s.phase === "resync" || from === "resync") ways.push("running resync");
  return { reached, ways, from };
}

// litWays returns the way from where a pipe was to where it rests now.
function litWays(phase, from) {
  const aside = { pausing: ["running pausing"], paused: ["running pausing", "pausing paused"], resync: ["running resync"], failed: ["running failed"] }[phase] || [];
  const main = order.includes(from) ? order.slice(order.indexOf(from)) : [];
  return aside.concat(main.slice(1).map((p, i) => main[i] + " " + p));
}

function course(status) {
  const map = narrow.matches ? tall : wide;
  const { reached, ways, from } = cameBy(status);
  const phase = status.phase;
  const root = svg("svg", { class: "course " + phase, viewBox: map.box, role: "img", "aria-label": "Life cycle: the pipe is " + phase + (from ? ", coming from " + from : "") });
  const lit = litWays(phase, from);
  const layers = { " off": [], "": [], " gone": [], " lit": [] }; // what is lit lies on top
  for (const [name, d] of Object.entries(map.ways)) {
    const aside = /failed|completed|resync|paus/.test(name);
    const state = lit.includes(name) ? " lit" : ways.includes(name) ? " gone" : aside ? " off" : "";
    layers[state].push(svg("path", { class: "way" + state, d }));
  }
  for (const layer of Object.values(layers)) root.append(...layer);
  const moving = { snapshot: "setup snapshot", running: "provisioning setup,setup snapshot,snapshot running", resync: "running resync", provisioning: "", setup: "provisioning setup" }[phase] || "";
  for (const name of moving.split(",").filter((n) => n && !status.degraded.length)) root.append(svg("path", { class: "water", d: map.ways[name] }));
  for (const [name, [x, y]] of Object.entries(map.at)) {
    const state = name === phase ? "here" : name === from ? "from" : reached.includes(name) ? "gone" : "";
    const text = map.below ? { x, y: y + 27, "text-anchor": "middle" } : { x: x + 18, y: y + 4.5 };
    root.append(svg("g", { class: state }, svg("circle", { cx: x, cy: y, r: state === "here" ? 8 : 6 }), svg("text", text, name)));
  }
  return root;
}
