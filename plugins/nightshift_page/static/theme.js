// Follows the theme chosen in Airflow's own settings, else the system's; before anything is drawn.
"use strict";
function followTheme() {
  let chosen = null;
  try { chosen = localStorage.getItem("theme"); } catch { /* storage may be forbidden: then the system decides */ }
  const root = document.documentElement;
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
  else delete root.dataset.theme;
}
followTheme();
