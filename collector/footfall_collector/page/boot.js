// Runs before anything is drawn: the theme that was asked for, or chosen here before.
(() => {
  let theme = new URLSearchParams(location.search).get("theme");
  try {
    theme ??= localStorage.getItem("footfall.theme");
  } catch {
    // Storage may be off.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
