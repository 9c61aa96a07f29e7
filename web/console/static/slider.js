// Handles over the time of the log: dragged to a time, or moved by the steps that the page has.
const HANDLE = "slider-handle";

for (const slider of document.querySelectorAll(".slider[data-begin]")) {
  const { begin, end, at, to } = slider.dataset;
  const [first, last] = [millis(begin), millis(end)];
  if (!(last > first)) continue;
  const said = slider.querySelector("output");
  slider.querySelectorAll(".handle").forEach((each) => each.remove());
  const handles = [["at", at, "As of"], ["to", to || end, "Compare with"]];
  for (const [name, time, label] of handles) slider.append(handle(name, time, label));
  const wanted = sessionStorage.getItem(HANDLE);
  sessionStorage.removeItem(HANDLE);
  if (wanted) slider.querySelector(`input[type="range"][name="${wanted}"]`)?.focus();

  function handle(name, time, label) {
    const input = document.createElement("input");
    Object.assign(input, { type: "range", name, min: first, max: last, step: "any", value: millis(time) });
    input.setAttribute("aria-label", label);
    input.setAttribute("aria-valuetext", shown(time));
    input.addEventListener("input", () => {
      said.textContent = `${label} ${shown(iso(input.value))}`;
      input.setAttribute("aria-valuetext", shown(iso(input.value)));
    });
    input.addEventListener("change", () => go(name, iso(input.value)));
    input.addEventListener("keydown", (event) => step(name, event));
    return input;
  }

  function step(name, event) {
    const link = slider.querySelector(`a[data-key="${event.key}"]`);
    if (name !== "at" || to || !/^(Arrow|Page|Home|End)/.test(event.key)) return;
    event.preventDefault();
    if (!link) return;
    sessionStorage.setItem(HANDLE, name);
    location.assign(link.href);
  }

  function go(name, time) {
    sessionStorage.setItem(HANDLE, name);
    const times = { at, to, [name]: time };
    const target = new URL(times.to ? "/diff" : location.href, location.origin);
    target.searchParams.set("at", times.at);
    if (times.to) target.searchParams.set("to", times.to);
    location.assign(target);
  }
}

function millis(time) { return Date.parse(`${time.slice(0, 23)}Z`); }
function iso(value) { return new Date(Math.ceil(Number(value))).toISOString().slice(0, 23); }
function shown(time) { return `${time.slice(0, 19).replace("T", " ")} UTC`; }
