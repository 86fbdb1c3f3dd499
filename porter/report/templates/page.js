// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
// The page's whole state stands in the address behind the #, so that any view can be linked to:
//   #/                       the matrix           #/family/NAME      one family
//   #/kernel/FAMILY/NAME     one kernel           ?q=..&ring=..&status=..   the filters, behind any of them
const KINDS = { "proved": "proved", "sampled": "sampled", "equal after O1": "equal", "differs": "differs", "not run": "notrun" };
const SHOWN = 300;
let rowsByFamily, resultsByRow, claimsByFamily;

const string = (number) => data.strings[number];
const statusName = (number) => data.statuses[number];
const number = (value) => element("td", { class: "number" }, text(value));

function statusBadge(status, after) {
  const name = statusName(status);
  return element("span", { class: `status ${KINDS[name]}` }, name, after ? element("small", {}, ` ${after}`) : null);
}
function table(headings, rows, classes) {
  const head = element("tr", {}, headings.map((one, i) => element("th", { class: classes && classes[i] }, one)));
  return element("div", { class: "wide" }, element("table", {}, element("thead", {}, head), element("tbody", {}, rows)));
}
const cells = (...values) => values.map((value) => (value instanceof Node ? (value.tagName === "TD" ? value : element("td", {}, value)) : element("td", {}, text(value))));
const row = (...values) => element("tr", {}, cells(...values));
const familyLink = (name) => link(`#/family/${encodeURIComponent(name)}${query()}`, name);
const kernelLink = (one) => link(`#/kernel/${encodeURIComponent(string(one[1]))}/${encodeURIComponent(one[0])}${query()}`, mono(one[0]));
const upstreamLink = (file, line) => file.startsWith("mlx/")
  ? link(`${data.upstream.url}/blob/${data.upstream.revision}/${file}#L${line}`, mono(`${file}:${line}`)) : mono(`${file}:${line}`);

// -- the address

function state() {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  const given = new URLSearchParams(search || "");
  return { path: path.split("/").filter(Boolean).map(decodeURIComponent), q: given.get("q") || "", ring: given.get("ring") || "", status: given.get("status") || "" };
}
function query(changes) {
  const now = { ...state(), ...(changes || {}) };
  const given = new URLSearchParams();
  for (const key of ["q", "ring", "status"]) if (now[key]) given.set(key, now[key]);
  return given.size ? `?${given}` : "";
}

// -- what is chosen

function chosenResults(index, now) {
  return (resultsByRow.get(index) || []).filter(([claim, result]) =>
    (!now.ring || data.rings[claim.ring] === now.ring) && (!now.status || statusName(result[1]) === now.status));
}
function chosenRows(now, family) {
  const words = now.q.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [];
  const among = family ? rowsByFamily.get(family) || [] : data.rows.keys();
  for (const index of among) {
    const one = data.rows[index];
    const said = `${one[0]} ${string(one[1])} ${string(one[2])} ${operators.get(string(one[1])) || ""}`.toLowerCase();
    if (!words.every((word) => said.includes(word))) continue;
    if ((now.ring || now.status) && !chosenResults(index, now).length) continue;
    found.push(index);
  }
  return found;
}
let operators;

// -- views

function gravest(results) {
  const order = ["differs", "not run", "sampled", "equal after O1", "proved"];
  return results.length ? results.map(([, result]) => result[1]).sort((a, b) => order.indexOf(statusName(a)) - order.indexOf(statusName(b)))[0] : null;
}
function kernelTable(found, now) {
  const rows = found.slice(0, SHOWN).map((index) => {
    const one = data.rows[index];
    const byRing = data.rings.map((_, ring) => {
      const results = chosenResults(index, { ...now, ring: data.rings[ring] });
      const status = gravest(results);
      return status === null ? element("span", { class: "soft" }, "-") : statusBadge(status);
    });
    return row(kernelLink(one), familyLink(string(one[1])), ...byRing);
  });
  const more = found.length > SHOWN ? element("p", { class: "soft" }, `The first ${SHOWN} of ${text(found.length)}; search for more.`) : null;
  return [element("p", { id: "count" }, `${text(found.length)} kernels`), table(["kernel", "family", ...data.rings], rows), more];
}
function figure(value, what) { return element("div", { class: "figure" }, element("b", {}, text(value)), element("span", {}, what)); }

function matrixView(now) {
  const held = data.claims.filter((claim) => !["differs", "not run"].includes(statusName(claim.status)));
  const compared = data.claims.reduce((sum, claim) => sum + claim.cases, 0);
  const ringRows = (index) => new Set(data.claims.filter((claim) => claim.ring === index).flatMap((claim) => claim.results.map((result) => result[0]))).size;
  const figures = element("div", { class: "figures" },
    figure(data.rows.length, "kernels in the tables"), figure(data.families.length, "families"),
    ...data.rings.map((ring, index) => figure(ringRows(index), `kernels in ring ${ring}`)),
    figure(compared, "comparisons"), figure(`${held.length} of ${data.claims.length}`, "claims hold"));
  if (now.q || now.status || now.ring) return [figures, element("h2", {}, "Kernels that match"), ...kernelTable(chosenRows(now), now)];
  const rows = data.matrix.map(([family, ...rings]) => {
    const known = data.families.some((one) => one.name === family);
    const badges = rings.map((cell) => cell === null ? element("span", { class: "soft" }, "-")
      : statusBadge(cell[0], `${cell[1] ? `${text(cell[1])} kernels` : ""}${cell[3] < cell[2] ? ` (${cell[2] - cell[3]} of ${cell[2]} claims)` : ""}`));
    return element("tr", { "data-family": family }, cells(known ? familyLink(family) : family, number((rowsByFamily.get(family) || []).length), ...badges));
  });
  const wrong = data.claims.filter((claim) => ["differs", "not run"].includes(statusName(claim.status)));
  const compiled = data.families.filter((one) => one.origin !== "source");
  return [figures,
    element("h2", {}, "Families and rings"), table(["family", "kernels", ...data.rings], rows, ["", "number"]),
    wrong.length ? [element("h2", {}, "What differs or was not run"), ...wrong.map(claimBlock)] : null,
    compiled.length ? [element("h2", {}, "Not ported here"), element("ul", {}, compiled.map((one) => element("li", {}, familyLink(one.name), `: ${one.origin_why}`)))] : null,
    element("h2", {}, "How to read this"),
    element("ul", {},
      element("li", {}, "names: the tables are complete. layouts: host and kernel agree on every struct. code: the port is upstream, renamed. outputs: it computes what Apple's compiled kernel computes."),
      element("li", {}, "proved: every case agrees. sampled: those looked at agree. equal after O1: another text, the same code. Nothing ran on a Mac."))];
}
function claimBlock(claim) {
  return element("div", { class: "claim" },
    element("h3", {}, `${data.rings[claim.ring]}, ${claim.family}: ${claim.claim} `, statusBadge(claim.status, `${text(claim.cases)} cases, against ${claim.witness}`)),
    claim.why ? element("pre", {}, claim.why) : null,
    claim.notes.length ? element("details", {}, element("summary", { class: "soft" }, "what to know of it"), element("ul", {}, claim.notes.map((note) => element("li", {}, note)))) : null);
}
function familyView(name, now) {
  const family = data.families.find((one) => one.name === name);
  if (!family) return [element("h2", {}, `No family is called ${name}`)];
  const claims = (claimsByFamily.get(name) || []).filter((claim) => (!now.ring || data.rings[claim.ring] === now.ring));
  return [
    element("h2", {}, `${family.title} `, mono(family.name)),
    element("p", {}, `PyTorch's operators: ${family.operators.join(", ") || "none"}. Ported from ${family.origin}. ${family.origin_why}`),
    element("p", { class: "soft" }, family.sources.map((file) => [mono(file), " "])),
    element("h3", {}, "Claims"), ...claims.map(claimBlock),
    element("h3", {}, "Kernels of the source"),
    table(["kernel", "upstream", "ported file", "constants' combinations"], family.kernels.map((one) => row(mono(one.name), upstreamLink(one.file, one.line), mono(one.ported), number(one.combinations)))),
    family.constants.length ? [element("h3", {}, "Function constants"), table(["name", "index", "type", "lowered to", "suffix", "reaches"], family.constants.map((one) => row(...one)))] : null,
    family.excluded.length ? [element("h3", {}, "Combinations that the host never asks for"), table(["constants", "reason"], family.excluded.map((one) => row(...one)))] : null,
    family.samples.length ? [element("h3", {}, "Sampled values"), table(["constants", "of"], family.samples.map((one) => row(...one)))] : null,
    family.params.map(([struct, size, fields]) => [element("h3", {}, mono(struct), ` ${size} bytes`), table(["field", "type", "offset", "bytes"], fields.map((one) => row(...one)))]),
    family.tolerances.length ? [element("h3", {}, "Tolerances"), table(["dtypes", "relative", "absolute", "because"], family.tolerances.map((one) => row(...one.map((cell) => (typeof cell === "number" ? cell.toExponential(2) : cell)))))] : null,
    element("h3", {}, "Instantiations"), ...kernelTable(chosenRows(now, name), now)];
}
function kernelView(familyName, name, now) {
  const index = (rowsByFamily.get(familyName) || []).find((one) => data.rows[one][0] === name);
  if (index === undefined) return [element("h2", {}, `No kernel is called ${name}`)];
  const one = data.rows[index], family = data.families.find((each) => each.name === familyName);
  const kernel = family.kernels.find((each) => each.name === string(one[2]));
  const results = chosenResults(index, now);
  return [
    element("h2", {}, mono(name)),
    element("p", {}, familyLink(familyName), ` · ${family.title} · `, mono(`${string(one[2])}${string(one[3]) ? `<${string(one[3])}>` : ""}`)),
    element("p", {}, string(one[4]) ? `tile and axes: ${string(one[4])}` : null),
    element("p", {}, "instantiated at ", upstreamLink(string(one[5]), one[6]), kernel ? [", declared at ", upstreamLink(kernel.file, kernel.line), ", ported to ", mono(kernel.ported)] : `; ${family.origin_why}`),
    kernel ? [element("h3", {}, "Template parameters"), element("p", {}, mono(kernel.parameters.join(", ") || "none"), kernel.limit ? ` · at most ${kernel.limit} threads` : ""),
      element("h3", {}, "Arguments"),
      table(["name", "type", "address space", "attribute", "slot", "gate", "role", "where the gate is shut, the host binds"], kernel.arguments.map((argument) => row(...argument.map((cell, i) => (i < 2 ? mono(cell) : cell))))),
      element("p", { class: "soft" }, `${text(kernel.combinations)} combinations of function constants`)] : null,
    element("h3", {}, "Proofs"),
    results.length ? results.map(([claim, result]) => element("div", { class: "claim" },
      element("h3", {}, `${data.rings[claim.ring]}: ${claim.claim} `, statusBadge(result[1], `${text(result[2])} cases, against ${claim.witness}`)),
      string(result[4]) ? element("p", {}, string(result[4])) : null,
      string(result[3]) ? element("pre", {}, string(result[3])) : null,
      result[5].length ? element("ul", { class: "cases" }, result[5].map((line) => element("li", {}, string(line)))) : null)) : element("p", { class: "soft" }, "No ring looked at it, or none that the filters let through.")];
}

// -- drawing

function draw() {
  const now = state();
  for (const key of ["ring", "status"]) document.getElementById(key).value = now[key];
  const box = document.getElementById("search");
  if (document.activeElement !== box) box.value = now.q;
  const [kind, first, second] = now.path;
  const view = kind === "family" ? familyView(first, now) : kind === "kernel" ? kernelView(first, second, now) : matrixView(now);
  document.getElementById("main").replaceChildren(...view.flat(Infinity).filter(Boolean));
}
function options(id, all, names) {
  document.getElementById(id).append(element("option", { value: "" }, all), ...names.map((name) => element("option", { value: name }, name)));
}
function go(changes) {
  const now = state();
  const path = "q" in changes && now.path[0] === "kernel" ? "" : now.path.map(encodeURIComponent).join("/");
  location.hash = `#/${path}${query(changes)}`;
}
function ready() {
  rowsByFamily = Map.groupBy(data.rows.keys(), (index) => string(data.rows[index][1]));
  claimsByFamily = Map.groupBy(data.claims, (claim) => claim.family);
  operators = new Map(data.families.map((family) => [family.name, `${family.title} ${family.operators.join(" ")}`]));
  resultsByRow = new Map();
  for (const claim of data.claims) for (const result of claim.results) {
    if (!resultsByRow.has(result[0])) resultsByRow.set(result[0], []);
    resultsByRow.get(result[0]).push([claim, result]);
  }
  const { tag, revision, coverage } = data.upstream;
  document.getElementById("subject").textContent = `MLX ${tag || ""} ${revision.slice(0, 12)} for ${data.target}, ${coverage === "full" ? "full source" : "headers from the wheel"}, ${data.made}`;
  options("ring", "every ring", data.rings);
  options("status", "every status", data.statuses);
  for (const key of ["ring", "status"]) document.getElementById(key).addEventListener("change", (event) => go({ [key]: event.target.value }));
}
start(ready);
