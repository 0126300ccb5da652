// Asking the server for something over HTTP. Every answer that is no success has {error: {code, message}}.

/** -> {ok: true, body} or {ok: false, error}; a command that is tried again keeps its `key`, so it is done once. */
export async function api(method, path, body, key) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  try {
    const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const json = await answer.json();
    return answer.ok ? { ok: true, body: json } : { ok: false, error: json.error };
  } catch {
    return { ok: false, error: { code: "unreachable", message: "" } };
  }
}

/** Give a command; what nobody answered is asked once more with the same key. */
export async function command(path, body) {
  const key = [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
  let answer = await api("POST", path, body, key);
  if (!answer.ok && ["unreachable", "undecided"].includes(answer.error.code)) answer = await api("POST", path, body, key);
  return answer;
}

/** Who is logged in, null if the server does not say. Where somebody must log in it leaves for that page. */
export async function whoAmI() {
  let answer = await api("GET", "/api/session");
  while (!answer.ok && answer.error.code === "starting") {
    await new Promise((done) => setTimeout(done, 500));
    answer = await api("GET", "/api/session");
  }
  if (answer.ok) return answer.body;
  if (answer.error.code !== "login_needed") return null;
  location.replace(`/login?next=${encodeURIComponent(location.pathname + location.search + location.hash)}`);
  return new Promise(() => {});
}
