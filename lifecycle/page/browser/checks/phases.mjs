// Each phase is shown as what it is.

import assert from "node:assert/strict";
import { assertFits, assertReadable } from "./looks.mjs";
import { eventually } from "./visit.mjs";

const phases = ["provisioning", "setup", "snapshot", "running", "pausing", "paused", "resync", "completed", "failed"];

export default function (check) {
  for (const phase of phases) {
    check(phase + " is shown", { scene: phase }, async (page, visit) => {
      const pipe = visit.pipe();
      await pipe.waitFor();
      const status = await visit.api("/v1/pipes/shop");
      assert.equal(status.phase, phase);
      assert.equal(await pipe.locator(".head .pill").first().textContent(), phase);
      assert.equal(await page.title(), `shop: ${phase} – Penstock`);
      await assertLit(pipe, status);
      await assertCommands(pipe, status);
      assert.match(await pipe.locator(".head .for").textContent(), /^for \d/);
      await assertCharts(pipe, status);
      await assertReadable(page, false);
      await visit.screenshot(`${phase} light 1280`);
    });
    check(phase + " fits a phone in the dark", { scene: phase, narrow: true, dark: true }, async (page, visit) => {
      const pipe = visit.pipe();
      await pipe.waitFor();
      const status = await visit.api("/v1/pipes/shop");
      await assertLit(pipe, status);
      await assertCharts(pipe, status);
      await assertFits(page);
      await assertReadable(page, true);
      await visit.screenshot(`${phase} dark 390`);
    });
  }
}

// assertLit: the one station lit is the phase, and whoever cannot see it is told.
async function assertLit(pipe, status) {
  const course = pipe.getByRole("img", { name: "Life cycle: the pipe is " + status.phase });
  await course.waitFor();
  assert.deepEqual(await course.locator(".here text").allTextContents(), [status.phase]);
  const from = status.paused_from || status.failed_from;
  if (from) assert.match(await course.getAttribute("aria-label"), new RegExp("coming from " + from));
  const station = await course.locator(".here circle").boundingBox();
  assert.ok(station && station.width > 10, "the station is drawn");
}

// assertCommands: the buttons are those that the API would not refuse.
async function assertCommands(pipe, status) {
  for (const command of ["pause", "resume", "resync"]) {
    const button = pipe.locator(".head").getByRole("button", { name: new RegExp(`^${command}$`, "i"), includeHidden: true });
    assert.equal(await button.isVisible(), status.commands.includes(command), `the button ${command}`);
  }
}

// assertCharts: four numbers, each with the line of its last minutes; those of a
// slot only where there is one.
async function assertCharts(pipe, status) {
  await eventually(async () => {
    const tiles = await pipe.locator(".tile").all();
    assert.equal(tiles.length, 4);
    for (const [i, tile] of tiles.entries()) {
      const measured = i === 0 || status.slot;
      assert.match(await tile.locator(".now").textContent(), measured ? /^\d/ : /^– $/);
      assert.match((await tile.locator(".edge").getAttribute("d")) || "", measured ? /^M\d+ [\d.]+L\d/ : /^$/, "the line of tile " + i);
    }
  });
}
