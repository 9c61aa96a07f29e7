// What a step says, as it says it; at the end the page has its outcome.
const said = document.querySelector(".output[data-source]");
const state = document.getElementById("live-state");
const TEXT_MAX = 2_000_000, AGAIN_MS = 3000;

if (said) {
  const follow = document.getElementById("follow"), wrap = document.getElementById("wrap");
  document.getElementById("output-controls").hidden = false;
  wrap.addEventListener("change", () => said.classList.toggle("unwrapped", !wrap.checked));
  let last = "";
  begin();
  said.scrollTop = said.scrollHeight;

  function begin() {
    const address = new URL(said.dataset.source, location.origin);
    if (last) address.searchParams.set("offset", last);
    const source = new EventSource(address);
    source.addEventListener("open", () => { state.textContent = "Live: it changes by itself."; });
    source.addEventListener("error", () => {
      state.textContent = "The service does not answer, or the session has ended: this is how it was. Trying again.";
      document.dispatchEvent(new Event("htmx:sseError"));
      // Refused, it is not tried again by the browser itself.
      if (source.readyState === EventSource.CLOSED) setTimeout(begin, AGAIN_MS);
    });
    source.addEventListener("message", (event) => {
      last = event.lastEventId;
      said.hidden = false;
      document.getElementById("silent")?.remove();
      said.append(event.data);
      if (said.textContent.length > TEXT_MAX) said.textContent = said.textContent.slice(-TEXT_MAX / 2);
      if (follow.checked) said.scrollTop = said.scrollHeight;
    });
    source.addEventListener("end", (event) => {
      source.close();
      const { outcome } = JSON.parse(event.data);
      state.textContent = `It has ended: ${outcome.replace("_", " ")}.`;
    });
  }
}
