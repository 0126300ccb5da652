// Logging in: the session's cookie is the server's business, this page only asks for it.

import { api } from "./api.js";
import { currentLanguage, loadTexts, setLanguage, t } from "./i18n.js";

const form = document.querySelector("#login");
const why = document.querySelector("#why");

/** Where the user wanted to go; never another site. */
function next() {
  const path = new URLSearchParams(location.search).get("next") ?? "/";
  return /^\/[^/\\]/.test(path) ? path : "/";
}

form.onsubmit = async (event) => {
  event.preventDefault();
  why.textContent = "";
  const { user, password } = Object.fromEntries(new FormData(form));
  const answer = await api("POST", "/api/session", { user, password });
  if (answer.ok) location.replace(next());
  else why.textContent = t(`refusal.${answer.error.code}`);
};

await loadTexts();
document.querySelector("#language").onclick = () => setLanguage(currentLanguage() === "zh" ? "en" : "zh");
form.elements.user.focus();
