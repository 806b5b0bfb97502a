// The page fits a phone and can be read, by day and by night.

import assert from "node:assert/strict";

// The phases are looked at in both ways by their own checks.
const others = ["degraded", "danger", "hostile", "many", "two", "empty"];

export default function (check) {
  for (const scene of others) {
    for (const how of [{ narrow: true }, { dark: true }]) {
      const name = how.dark ? "dark 1280" : "light 390";
      check(`${scene} looks well, ${name}`, { scene, ...how }, async (page, visit) => {
        await page.locator("main article, #empty:not([hidden])").first().waitFor();
        await assertFits(page);
        await assertReadable(page, how.dark);
        await visit.screenshot(`${scene} ${name}`);
      });
    }
  }
}

// assertFits: nothing is wider than the window.
export async function assertFits(page) {
  const [needs, has] = await page.evaluate(() => [document.scrollingElement.scrollWidth, innerWidth]);
  assert.ok(needs <= has, `the page is ${needs} px wide and the window ${has}`);
  const beyond = await page.evaluate(() => [...document.querySelectorAll("body *")]
    .filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80)));
  assert.deepEqual(beyond, []);
}

// assertReadable: the scheme is the one asked for, and no text is faint in it.
export async function assertReadable(page, dark) {
  const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
  assert.ok(dark ? Math.max(...background) < 60 : Math.min(...background) > 200, "the background is " + background);
  assert.deepEqual(await page.evaluate(faint), []);
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
