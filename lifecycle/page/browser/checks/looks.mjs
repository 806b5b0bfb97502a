// The page fits a phone and can be read, by day and by night.

import assert from "node:assert/strict";
import { assertFits } from "./visit.mjs";

export default function (check) {
  // The phases are seen on a phone by their own checks.
  for (const scene of ["degraded", "danger", "hostile", "many", "two", "empty"]) {
    check(scene + " fits a phone", { scene, narrow: true }, async (page, visit) => {
      await page.locator("main article, #empty:not([hidden])").first().waitFor();
      await assertFits(page);
      await visit.screenshot(`${scene} light 390`);
    });
  }

  for (const dark of [false, true]) {
    for (const scene of ["running", "failed", "degraded", "danger", "resync"]) {
      check(`${scene} can be read in the ${dark ? "dark" : "light"}`, { scene, dark }, async (page, visit) => {
        await visit.pipe().waitFor();
        assert.deepEqual(await page.evaluate(faint), []);
        const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
        assert.ok(dark ? Math.max(...background) < 60 : Math.min(...background) > 200, "the background is " + background);
        if (dark) await visit.screenshot(`${scene} dark 1280`);
      });
    }
  }
}

// faint runs in the page and returns the texts whose contrast to what they lie
// on is below 4.5 (WCAG 2.2, success criterion 1.4.3).
function faint() {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const paint = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const c of colours) {
      canvas.fillStyle = c;
      canvas.fillRect(0, 0, 1, 1);
    }
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const luminance = (rgb) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
    const c = rgb[i] / 255;
    return sum + weight * (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  }, 0);
  const found = [];
  for (const e of document.querySelectorAll("body *")) {
    const text = [...e.childNodes].filter((n) => n.nodeType === Node.TEXT_NODE).map((n) => n.data).join("").trim();
    if (!text || !e.checkVisibility({ visibilityProperty: true }) || e.matches("script, style, noscript, button:disabled")) continue;
    const under = [];
    for (let p = e; p; p = p.parentElement) under.unshift(getComputedStyle(p).backgroundColor);
    const style = getComputedStyle(e);
    const back = luminance(paint(["white", ...under])), ink = luminance(paint(["white", ...under, e.closest("svg") ? style.fill : style.color]));
    const contrast = (Math.max(back, ink) + 0.05) / (Math.min(back, ink) + 0.05);
    if (contrast < 4.5) found.push(`${text.slice(0, 40)}: ${contrast.toFixed(2)}`);
  }
  return found;
}
