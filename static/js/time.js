// Keeps relative times true while a page stays open. The exact time stays in the title.
const EVERY_MS = 30000;
const STEPS = [[60, "second", 1], [3600, "minute", 60], [86400, "hour", 3600], [604800, "day", 86400]];
const format = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "narrow" });

function refresh() {
  if (document.hidden) return;
  for (const node of document.querySelectorAll("time[data-relative]")) {
    const seconds = (Date.parse(node.dateTime) - Date.now()) / 1000;
    const step = STEPS.find(([limit]) => Math.abs(seconds) < limit);
    if (!step || Number.isNaN(seconds)) continue;
    const [, unit, size] = step;
    node.textContent = unit === "second" && seconds <= 0 ? "just now" : format.format(Math.trunc(seconds / size), unit);
  }
}
setInterval(refresh, EVERY_MS);
