// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
"use strict";
// What every page of ours does: it makes elements, unpacks its data, and draws anew when the address changes. The page's
// own script follows in the same element; it has `draw` and `go`, and ends with `start(ready)`.
let data;

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) if (value !== null && value !== undefined) made.setAttribute(name, value);
  for (const child of children.flat(Infinity)) if (child !== null && child !== undefined) made.append(child);
  return made;
}
const text = (value) => (typeof value === "number" ? value.toLocaleString("en") : String(value));
const mono = (value) => element("code", { class: "name" }, value);
const link = (address, value) => element("a", { href: address }, value);

function theme(name) {
  document.documentElement.dataset.theme = name;
}
async function unpack() {
  const packed = Uint8Array.from(atob(document.getElementById("data").textContent), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}
async function begin(ready) {
  theme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  document.getElementById("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  data = await unpack();
  ready();
  document.getElementById("search").addEventListener("input", (event) => go({ q: event.target.value }));
  document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", draw);
  draw();
}
function start(ready) {
  begin(ready).catch((error) => { document.getElementById("main").textContent = `The page could not be drawn: ${error}`; });
}
