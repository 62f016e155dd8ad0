// The app keeps one key that no script can read out, and signs with it what its
// owner decides (key.js has both). It shows nothing about a sign-in before its number was
// typed.

texts = JSON.parse(document.body.dataset.texts || "{}");
writeTexts(texts).catch(() => { /* then a notice is in English */ });

const worker = "/app/worker.js";
const base64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));
const at = (id) => document.getElementById(id);

function show(section) {
  for (const s of document.querySelectorAll("main section")) s.hidden = s.id !== section;
}
function say(id, text) {
  for (const other of ["problem", "done"]) at(other).hidden = true;
  at(id).querySelector("span").textContent = text;
  at(id).hidden = !text;
}

const hash = (data) => crypto.subtle.digest("SHA-256", data);

// A gesture is a fingerprint, a face or a PIN that the device asks its owner for,
// with a WebAuthn credential of the app's own: for one statement, by its hash.
const api = window.PublicKeyCredential;
const canGesture = async () => Boolean(api?.parseCreationOptionsFromJSON && api.prototype.toJSON && await api.isUserVerifyingPlatformAuthenticatorAvailable());

async function gestured(asked) {
  const credential = await asked.catch(() => { throw Object.assign(new Error(t("Your device did not check that it is you. Try again.")), { unshown: true }); });
  return credential.toJSON();
}
const makeGesture = async (app, options, code, point) => gestured(navigator.credentials.create({ publicKey: api.parseCreationOptionsFromJSON({
  ...options, challenge: base64url(await hash(statement("countersign gesture", code, point))), user: { id: app.handle, name: "Countersign app", displayName: t("Approvals in the Countersign app") } }) }));
const showGesture = async (id, signed) => JSON.stringify(await gestured(navigator.credentials.get({ publicKey: {
  challenge: await hash(signed), allowCredentials: [{ type: "public-key", id: unbase64url(id) }], userVerification: "required" } })));

async function attempt(act) {
  say("problem", "");
  try {
    await act();
  } catch (e) {
    say("problem", e instanceof TypeError ? t("Countersign cannot be reached. Look at your connection.") : e.message);
  }
}

// What the page was opened for is not left in the history.
const opened = location.hash;
const code = new URLSearchParams(opened.slice(1)).get("bind");
if (opened) history.replaceState(null, "", location.pathname);
addEventListener("hashchange", () => location.reload()); // another link, in the page that is open already

// bind makes the key and offers it. without leaves the gesture out, which its owner
// says when the device cannot check them after all.
async function bind(without) {
  const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
  const point = await crypto.subtle.exportKey("raw", keys.publicKey);
  const app = { keys, handle: base64url(await hash(point)) };
  const signature = await sign(app, statement("countersign bind", code, base64url(point)));
  const now = await moment();
  const made = !without && await canGesture() ? await makeGesture(app, now.gesture, code, base64url(point)) : undefined;
  const gesture = made && base64(bytes(JSON.stringify(made)));
  const proposal = JSON.stringify({ key: base64(point), signature: base64(signature), label: "Countersign app", gesture });
  const bound = await post("/app/bind", { code, proposal, "form-token": now.token });
  await write({ ...app, name: bound.name, gesture: made?.id });
  const sum = new DataView(await hash(statement("countersign confirm", code, base64url(point))));
  at("confirmation").textContent = String(sum.getBigUint64(0) % 1000000n).padStart(6, "0");
  at("owner").textContent = bound.name;
  show("bound");
}

const numberIn = (hash) => /^#number=(\d{6})$/.exec(hash)?.[1];

// scanned is the number in a link of this Countersign, and of no other.
function scanned(text) {
  const link = URL.canParse(text) ? new URL(text) : undefined;
  const number = numberIn(link?.hash);
  if (!number || link.origin !== location.origin || link.pathname !== location.pathname) throw new Error(t("That picture is not of this Countersign. Look at the address of the page that shows it."));
  return number;
}

let camera; // the stream while the camera is on

function unscan() {
  for (const track of camera?.getTracks() ?? []) track.stop();
  camera = undefined;
  show("ask");
}

// seen waits until the camera sees a code; undefined when it was switched off.
async function seen(detector) {
  const mine = camera, view = at("view");
  view.srcObject = mine;
  await view.play();
  while (camera === mine) {
    const [code] = await detector.detect(view);
    if (code) return scanned(code.rawValue);
    await new Promise((r) => setTimeout(r, 100));
  }
}

// scan reads the number from the page where its owner signs in, in place of typing
// it. What it is for is shown before anything is decided, as ever.
async function scan() {
  camera = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } })
    .catch(() => { throw new Error(t("The camera cannot be used. Type the number.")); });
  show("camera");
  const number = await seen(new BarcodeDetector({ formats: ["qr_code"] })).finally(unscan);
  if (number) await look(at("number").value = number);
}
const canScan = async () => navigator.mediaDevices && (await window.BarcodeDetector?.getSupportedFormats())?.includes("qr_code");

const made = (name, text) => Object.assign(document.createElement(name), { textContent: text ?? "" });

// reading shows what an action sets, each thing with what it is until then. All of it is
// text, and no word of it is left out.
function reading(r) {
  at("reading").hidden = !r;
  at("sets").replaceChildren();
  at("does").textContent = r?.title ?? "";
  at("to").textContent = r?.text ?? "";
  const compares = r?.fields?.some((f) => f.before);
  for (const f of r?.fields ?? []) {
    const name = document.createElement("dt"), value = document.createElement("dd");
    name.append(made("bdi", f.name));
    if (compares && f.before === f.after) value.append(made("bdi", f.after), made("span", " (" + t("stays") + ")"));
    else if (f.before) value.append(made("span", t("Now") + ": "), made("bdi", f.before), document.createElement("br"), made("span", t("Afterwards") + ": "), made("bdi", f.after || t("nothing")));
    else value.append(made("bdi", f.after));
    value.className = "lines";
    at("sets").append(name, value);
  }
}

let waiting; // what was found, with the number as it was typed

async function look(number) {
  waiting = undefined;
  const found = await call("look", { number });
  at("filled").hidden = true;
  waiting = { ...found, number };
  at("application").textContent = found.application;
  at("act").textContent = found.action && !found.reading ? ". " + t("To do:") + " " + found.action : "";
  reading(found.reading);
  at("who").textContent = found.name;
  at("place").textContent = found.place || "";
  at("from").textContent = found.from || t("an unknown address");
  at("by").textContent = found.by;
  at("created").textContent = found.created;
  show("found");
}

const said = {
  approve: t("Approved. The other device goes on by itself, or press Enter there."),
  deny: t("Refused. If you did not begin it, your password is known to somebody: change it."),
  "not-me": t("Refused. Your sessions were ended, your password is switched off unless you administer alone, and your administrators were told."),
};

async function decide(decision) {
  const { id, number, text } = waiting;
  const over = () => { waiting = undefined; at("number").value = ""; show("ask"); };
  await call("answer", { id: String(id), number, text, decision }, decision === "approve" && showGesture).catch((e) => {
    if (!e.unshown) over(); // a gesture that was not shown can be tried again
    throw e;
  });
  over();
  say("done", said[decision]);
}

async function disown() {
  await call("disown", {});
  show("ask");
  say("done", said["not-me"]);
}

async function wake() {
  if (await Notification.requestPermission() !== "granted") throw new Error(t("This browser was told not to show notices."));
  const registration = await navigator.serviceWorker.ready;
  await moveTo(await subscribed(registration)
    .catch((e) => { throw e instanceof TypeError || e.reason ? e : new Error(t("This browser has no push service. The app works without: open it and type the number.")); }));
  at("wake").hidden = true;
  say("done", t("This device will be woken."));
}

function busy(button, act) {
  if (button.hasAttribute("aria-busy")) return;
  button.setAttribute("aria-busy", "true");
  return attempt(act).finally(() => button.removeAttribute("aria-busy"));
}

at("bind").addEventListener("click", (e) => busy(e.target, () => bind().catch((problem) => { at("without").hidden = !problem.unshown; throw problem; })));
at("without").addEventListener("click", (e) => busy(e.target, () => bind(true)));
at("added").addEventListener("click", () => start());
at("stranger").addEventListener("click", () => { say("problem", ""); show("sure"); });
at("back").addEventListener("click", () => show("ask"));
at("disown").addEventListener("click", (e) => busy(e.target, disown));
at("wake").addEventListener("click", (e) => busy(e.target, wake));
at("scan").addEventListener("click", (e) => busy(e.target, scan));
at("unscan").addEventListener("click", unscan);
at("look").addEventListener("submit", (e) => { e.preventDefault(); busy(e.submitter ?? e.target, () => look(at("number").value)); });
for (const decision of ["approve", "deny", "not-me"]) at(decision).addEventListener("click", (e) => busy(e.target, () => decide(decision)));

// fill puts the number of a link where it is typed, and goes no further: the link
// may have come from anybody.
function fill(number) {
  at("number").value = number ?? "";
  at("filled").hidden = !number;
}

// watch asks now and then, while the app is open and nothing else is asked, whether a
// sign-in waits: where no push reaches this device. It says no more than a push does.
const pause = 4000;
let watching;

async function watch() {
  clearTimeout(watching);
  try {
    if (document.visibilityState === "visible" && !at("ask").hidden) {
      const found = await navigator.locks.request("countersign-app", { ifAvailable: true }, (free) => free && callNow("waits", {}));
      if (found) at("waits").hidden = !found.waits;
    }
  } catch (e) {
    if (e.reason) return; // it may not ask, and is told why when its owner does
  }
  watching = setTimeout(watch, pause);
}

async function start() {
  const app = await read();
  if (app) watch();
  show(app ? "ask" : "none");
  fill(numberIn(opened));
  at("scan").hidden = !await canScan();
  const registration = await navigator.serviceWorker?.ready;
  if (!app || !registration?.pushManager) return;
  at("wake").hidden = Boolean(await registration.pushManager.getSubscription());
  // Without a network it compares at its next start.
  await compare(registration).catch((e) => { if (e.reason) at("wake").hidden = false; });
}

if ("serviceWorker" in navigator) {
  const policy = window.trustedTypes?.createPolicy("countersign-app", { createScriptURL: (u) => { if (u !== worker) throw new TypeError("another script"); return u; } });
  navigator.serviceWorker.register(policy ? policy.createScriptURL(worker) : worker, { scope: "/app/" }).catch(() => { /* then there is no page without a network */ });
}
// offer says what adding this device would take away.
async function offer() {
  const app = await read();
  at("already").hidden = !app;
  at("before").textContent = app?.name ?? "";
  show("ready");
}

attempt(code ? offer : start);
