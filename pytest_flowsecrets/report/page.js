"use strict";
(() => {
  const text = document.getElementById("text");
  const outcome = document.getElementById("outcome");
  const leaking = document.getElementById("leaking");
  const tests = [...document.querySelectorAll("details.test")];
  const rows = [...document.querySelectorAll("tr[data-tests]")];

  function filter() {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = new Set();
    for (const test of tests) {
      const fits = words.every((word) => test.dataset.text.includes(word)) &&
        (!outcome.value || test.dataset.outcome === outcome.value) &&
        (!leaking.checked || test.dataset.leaks !== "0");
      test.hidden = !fits;
      if (fits) shown.add(test.id);
    }
    for (const row of rows) row.hidden = !row.dataset.tests.split(" ").some((id) => shown.has(id));
    document.getElementById("count").textContent = `${shown.size} of ${tests.length} tests`;
    document.getElementById("empty").hidden = shown.size > 0 || tests.length === 0;
  }

  function openTarget() {
    let id = location.hash.slice(1);
    try { id = decodeURIComponent(id); } catch { return; }
    const test = document.getElementById(id);
    if (!test || !test.classList.contains("test")) return;
    if (test.hidden) {
      text.value = outcome.value = "";
      leaking.checked = false;
      filter();
    }
    test.open = true;
    test.scrollIntoView();
    test.querySelector("summary").focus({ preventScroll: true });
  }

  text.form.addEventListener("submit", (event) => event.preventDefault());
  for (const control of [text, outcome, leaking]) control.addEventListener("input", filter);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
      event.preventDefault();
      text.focus();
    } else if (event.key === "Escape" && event.target === text) {
      text.value = "";
      filter();
    }
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (link && link.hash === location.hash) openTarget();
  });
  window.addEventListener("hashchange", openTarget);
  filter();
  if (document.readyState === "complete") openTarget();
  // After this event, the browser moves the focus to the target of the fragment.
  else window.addEventListener("load", () => setTimeout(openTarget));
})();
