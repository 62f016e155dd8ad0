// Passkeys need a script; nothing else here is needed. A form that bears
// data-passkey holds WebAuthn options as JSON. When the browser has answered, the
// answer goes into the form's field "data" and the form is sent like any other.

const api = window.PublicKeyCredential;
let waiting; // the autofill request, which must end before another begins

const texts = JSON.parse(document.body.dataset.texts || "{}"); // in the language of the page
const t = (text) => texts[text] ?? text;

const words = {
  NotAllowedError: t("No passkey was used. Try again, or choose another way."),
  InvalidStateError: t("This device or key is registered already."),
  SecurityError: t("This address does not match the one that passkeys were made for."),
  NotSupportedError: t("This device cannot do what is needed. Try another one."),
};

function say(form, text) {
  const place = form.querySelector("[data-say]");
  if (place) { place.textContent = text; place.hidden = !text; }
}

function send(form, credential) {
  form.elements.namedItem("data").value = JSON.stringify(credential.toJSON());
  form.submit();
}

async function ask(form, extra) {
  const json = JSON.parse(form.dataset.passkey);
  const make = form.dataset.ceremony === "create";
  const publicKey = make ? api.parseCreationOptionsFromJSON(json) : api.parseRequestOptionsFromJSON(json);
  return navigator.credentials[make ? "create" : "get"]({ publicKey, ...extra });
}

async function press(form, button) {
  waiting?.abort();
  waiting = undefined;
  say(form, "");
  button.setAttribute("aria-busy", "true");
  try {
    send(form, await ask(form));
  } catch (e) {
    button.removeAttribute("aria-busy");
    say(form, words[e.name] ?? t("The passkey could not be used."));
    autofill(form);
  }
}

// autofill offers passkeys in the field of the name, where browsers can.
async function autofill(form) {
  if (!("autofill" in form.dataset) || !(await api.isConditionalMediationAvailable?.())) return;
  waiting = new AbortController();
  try {
    send(form, await ask(form, { mediation: "conditional", signal: waiting.signal }));
  } catch { /* nobody chose one */ }
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!api?.parseRequestOptionsFromJSON || !navigator.credentials) {
    say(form, t("This browser cannot use passkeys. Choose another way."));
    continue;
  }
  const button = form.querySelector("button");
  button.disabled = false;
  form.addEventListener("submit", (e) => { e.preventDefault(); press(form, button); });
  autofill(form);
}

// A form is sent once, however often somebody presses.
for (const form of document.querySelectorAll("form:not([data-passkey])")) {
  form.addEventListener("submit", (e) => {
    if (form.dataset.sent) return e.preventDefault();
    if (form.target || form.hasAttribute("data-again")) return;
    form.dataset.sent = "1";
    form.querySelector("button:not([type=button])")?.setAttribute("aria-busy", "true");
  });
}
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  for (const button of document.querySelectorAll("button[aria-busy]")) button.removeAttribute("aria-busy");
});

// Comforts that only a script can give are hidden until there is one.
for (const zone of document.querySelectorAll("input[data-zone]")) zone.value ||= Intl.DateTimeFormat().resolvedOptions().timeZone;

// textOf is what is copied of an element: of a field what stands in it.
const textOf = (place) => place.dataset.text ?? place.value ?? place.innerText;

for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(textOf(document.getElementById(button.dataset.copy)));
    button.textContent = t("Copied");
  });
}
for (const button of document.querySelectorAll("button[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
