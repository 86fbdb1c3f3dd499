// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
// The page's whole state stands in the address behind the #, so that any view can be linked to:
//   #/   every finding     #/finding/N   one of them     #/passed   what was passed over
//   ?q=..&verdict=..&fixes=1   the filters, behind any of them
const SHOWN = 500;

const plural = (count, one, many) => `${text(count)} ${count === 1 ? one : many}`;
const out = (address, value) => (address ? element("a", { href: address, rel: "noopener noreferrer" }, value) : value);
const percent = (value) => `${Math.round(value * 100)}%`;
function table(headings, rows, kind) {
  const head = element("tr", {}, headings.map((one) => element("th", {}, one)));
  return element("div", { class: "wide" }, element("table", { class: kind }, element("thead", {}, head), element("tbody", {}, rows)));
}
const row = (...values) => element("tr", {}, values.map((value) => element("td", {}, value)));
const figure = (value, what) => element("div", { class: "figure" }, element("b", {}, text(value)), element("span", {}, what));
function badge(verdict) {
  const [name, kind] = data.verdicts[verdict];
  return element("span", { class: `status ${kind}` }, name);
}

// -- the address

function state() {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  const given = new URLSearchParams(search || "");
  return { path: path.split("/").filter(Boolean), q: given.get("q") || "", verdict: given.get("verdict") || "", fixes: given.get("fixes") || "" };
}
function query(changes) {
  const now = { ...state(), ...(changes || {}) };
  const given = new URLSearchParams();
  for (const key of ["q", "verdict", "fixes"]) if (now[key]) given.set(key, now[key]);
  return given.size ? `?${given}` : "";
}
const findingLink = (index, value) => link(`#/finding/${index}${query()}`, value);

// -- what is chosen

const words = (now) => now.q.toLowerCase().split(/\s+/).filter(Boolean);
const says = (now, ...parts) => words(now).every((word) => parts.join(" ").toLowerCase().includes(word));
const lacks = (finding) => finding.changes.some((change) => change.fix);
function chosen(now) {
  return [...data.findings.entries()].filter(([, one]) =>
    (!now.verdict || data.verdicts[one.verdict][0] === now.verdict) && (!now.fixes || lacks(one)) && says(now, one.path, one.upstream, one.reason));
}
function limited(rows, draw) {
  const rest = rows.length - SHOWN;
  if (rest <= 0) return draw(rows);
  const button = element("button", { type: "button" }, `show ${text(rest)} more`);
  const box = element("div", {}, draw(rows.slice(0, SHOWN)), button);
  button.addEventListener("click", () => box.replaceChildren(...[draw(rows)].flat(Infinity)));
  return box;
}

// -- views

function overview(now) {
  if (data.empty) return [element("p", {}, "The tree is empty: it holds no file.")];
  const found = chosen(now);
  const counts = data.verdicts.map(([name], index) => [name, data.findings.filter((one) => one.verdict === index).length]).filter(([, count]) => count);
  return [
    element("div", { class: "figures" }, figure(data.files, "files read"), figure(data.lines, "lines read"), figure(data.derived, "lines derived from MLX"),
      figure(data.findings.length, "findings"), counts.map(([name, count]) => figure(count, `notice: ${name}`)), figure(data.passed.length, "passed over")),
    element("p", { class: "soft" }, `Compared with ${data.compared}. `, link(`#/passed${query()}`, "What was passed over, and why")),
    fixesView(found),
    element("h2", {}, "Findings"),
    element("p", { id: "count" }, found.length === data.findings.length ? plural(found.length, "finding", "findings") : `${text(found.length)} of ${plural(data.findings.length, "finding", "findings")}`),
    found.length ? limited(found, (some) => table(["file:lines", "upstream", "share", "revisions", "notice"], some.map(([index, one]) =>
      row(findingLink(index, mono(`${one.path}:${one.lines}`)), mono(one.upstream), percent(one.share), one.revisions, badge(one.verdict))))) : null,
    data.findings.length ? null : element("p", {}, "Nothing derived from MLX was found in what was read."),
    element("h2", {}, "How to read this"),
    element("ul", {}, data.verdicts.map(([name, kind, means]) => element("li", {}, element("span", { class: `status ${kind}` }, name), `: ${means}`)),
      element("li", {}, "share: the part of the file's code tokens that are upstream's. revisions: the releases that hold all of these lines.")),
    data.remarks.length ? [element("h2", {}, "Read otherwise than they stand"), table(["file", "what to know"], data.remarks.map(([path, said]) => row(mono(path), said)))] : null];
}
function fixesView(found) {
  const rows = found.flatMap(([index, one]) => one.changes.filter((change) => change.fix).map((change) =>
    row(findingLink(index, mono(`${one.path}:${change.lines}`)), out(change.url, mono(change.commit)), change.date, change.subject)));
  return rows.length ? element("div", { class: "alert" }, element("h2", {}, "Upstream fixed these lines since; the fix is not here"), table(["file:lines", "commit", "date", "subject"], rows)) : null;
}
function findingView(index) {
  const one = data.findings[index];
  if (!one) return [element("h2", {}, "There is no such finding.")];
  const facts = [
    ["upstream", out(one.url, mono(one.upstream))],
    ["revisions", [one.revisions, " ", one.tags.length > 1 ? element("details", {}, element("summary", { class: "soft" }, `all ${one.tags.length}`), one.tags.map((tag) => [element("span", { class: "tag" }, tag), " "])) : null]],
    ["shared", `${percent(one.share)} of the file's code, ${text(one.tokens)} tokens`],
    ["notice", [badge(one.verdict), ` ${one.reason}`]],
    ["found", one.found.length ? one.found.map(([path, line], at) => [at ? ", " : "", mono(`${path}:${line}`)]) : "nothing"]];
  return [
    element("p", {}, link(`#/${query()}`, "every finding")),
    element("h2", {}, mono(`${one.path}:${one.lines}`)),
    element("dl", { class: "facts" }, facts.map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])),
    one.changes.length ? [element("h3", {}, "What upstream changed in these lines since"), table(["lines here", "commit", "date", "", "subject"], one.changes.map((change) =>
      row(change.lines, out(change.url, mono(change.commit)), change.date, change.fix ? element("span", { class: "status differs" }, "fix") : "", change.subject)))] : null,
    element("p", { class: "key soft" }, element("span", { class: "k-same" }, "the same line"), element("span", { class: "k-renamed" }, "the same code, other names or layout")),
    one.passages.map((passage) => passageView(one, passage))];
}
function passageView(one, passage) {
  const columns = element("colgroup", {}, element("col", { class: "at" }), element("col"), element("col", { class: "at" }), element("col"));
  const sides = element("table", { class: "sides" }, columns, element("tbody", {}, passage.rows.map(sideRow)));
  return element("section", {},
    element("h3", {}, mono(`${one.path}:${passage.lines}`), " and ", out(passage.url, mono(`${one.upstream}:${passage.upstream}`)),
      element("small", { class: "soft" }, ` ${text(passage.tokens)} tokens, ${passage.identical ? "names as upstream's" : "names changed"}`)),
    passage.rows.length ? element("div", { class: "wide" }, sides) : null,
    passage.said ? element("p", { class: "soft" }, passage.said) : null);
}
function sideRow([here, there, kind, ours, theirs]) {
  const [left, right] = kind === "renamed" ? marked(ours, theirs) : [ours, theirs];
  return element("tr", { class: kind }, element("td", { class: "at" }, here ?? ""), element("td", { class: "code" }, left), element("td", { class: "at" }, there ?? ""), element("td", { class: "code" }, right));
}
function marked(ours, theirs) {
  const both = [ours, theirs].map((line) => line.match(/[\p{L}\p{N}_]+|\s+|./gu) || []);
  const codes = both.map((parts) => parts.filter((part) => part.trim()));
  if (codes[0].length !== codes[1].length) return [ours, theirs];
  return both.map((parts) => {
    let at = 0;
    return parts.map((part) => {
      if (!part.trim()) return part;
      const same = codes[0][at] === codes[1][at];
      at += 1;
      return same ? part : element("mark", {}, part);
    });
  });
}
function passedView(now) {
  const found = data.passed.filter(([path, reason]) => says(now, path, reason));
  return [
    element("p", {}, link(`#/${query()}`, "every finding")),
    element("h2", {}, "Passed over"),
    element("p", { id: "count" }, found.length === data.passed.length ? text(found.length) : `${text(found.length)} of ${text(data.passed.length)}`),
    limited(found, (some) => table(["file or folder", "why"], some.map(([path, reason]) => row(mono(path), reason))))];
}

// -- drawing

function draw() {
  const now = state();
  document.getElementById("verdict").value = now.verdict;
  document.getElementById("fixes").checked = Boolean(now.fixes);
  const box = document.getElementById("search");
  if (document.activeElement !== box) box.value = now.q;
  const [kind, first] = now.path;
  const view = kind === "finding" ? findingView(Number(first)) : kind === "passed" ? passedView(now) : overview(now);
  document.getElementById("main").replaceChildren(...view.flat(Infinity).filter(Boolean));
}
function go(changes) {
  const now = state();
  location.hash = `#/${now.path[0] === "passed" ? "passed" : ""}${query(changes)}`;
}
function ready() {
  document.getElementById("subject").textContent = `${data.where}, ${data.made}`;
  document.getElementById("verdict").append(element("option", { value: "" }, "every notice"), ...data.verdicts.map(([name]) => element("option", { value: name }, name)));
  document.getElementById("verdict").addEventListener("change", (event) => go({ verdict: event.target.value }));
  document.getElementById("fixes").addEventListener("change", (event) => go({ fixes: event.target.checked ? "1" : "" }));
}
start(ready);
