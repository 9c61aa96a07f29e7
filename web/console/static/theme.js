// Before anything is drawn: the scheme that its reader has chosen, where that is not the system's;
// and what other scripts share. Names have a hash in them, so that modules cannot import one another.
globalThis.commissaire = {
  kept(name) {
    try { return localStorage.getItem(name) ?? ""; } catch { return ""; }
  },
  keep(name, value) {
    try { localStorage.setItem(name, value); } catch { /* for this page alone, then */ }
  },
  button(text, pressed) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "small";
    made.textContent = text;
    made.addEventListener("click", pressed);
    return made;
  },
};
if (commissaire.kept("theme")) document.documentElement.dataset.theme = commissaire.kept("theme");
