// The app keeps one key that no script can read out, and signs with it what its
// owner decides. It shows nothing about a sign-in before its number was typed.

const worker = "/app/worker.js";
const bytes = (text) => new TextEncoder().encode(text);
const base64url = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const base64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));
const unbase64url = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const at = (id) => document.getElementById(id);

function show(section) {
  for (const s of document.querySelectorAll("main section")) s.hidden = s.id !== section;
}
function say(id, text) {
  for (const other of ["problem", "done"]) at(other).hidden = true;
  at(id).querySelector("span").textContent = text;
  at(id).hidden = !text;
}

// The key is in IndexedDB, because only there a key can be kept that cannot be read.
function store(mode, act) {
  return new Promise((resolve, reject) => {
    const open = indexedDB.open("countersign-app", 1);
    open.onupgradeneeded = () => open.result.createObjectStore("key");
    open.onerror = () => reject(open.error);
    open.onsuccess = () => {
      const request = act(open.result.transaction("key", mode).objectStore("key"));
      request.onsuccess = () => { open.result.close(); resolve(request.result); };
      request.onerror = () => reject(request.error);
    };
  });
}
const read = () => store("readonly", (s) => s.get("app"));
const write = (value) => store("readwrite", (s) => s.put(value, "app"));

// statement joins fields so that no two lists of fields are the same bytes.
function statement(...fields) {
  return bytes(fields.map((f) => `${bytes(f).length}:${f}\n`).join(""));
}
const sign = (app, signed) => crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, app.keys.privateKey, signed);
const hash = (data) => crypto.subtle.digest("SHA-256", data);

async function answered(response) {
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw Object.assign(new Error(body.problem ?? "That did not work. Try again."), { reason: body.reason });
  return body;
}
const moment = async () => answered(await fetch("/app/moment", { cache: "no-store" }));
const post = async (path, fields) => answered(await fetch(path, { method: "POST", body: new URLSearchParams(fields) }));

// count is how often this app has spoken, this time included. The server refuses a
// count that it has heard before: then somebody has a copy of this device.
async function count() {
  const app = await read();
  app.count = (app.count ?? 0) + 1;
  await write(app);
  return app;
}

// call signs its fields and sends them under their names, with its owner's gesture
// for the same bytes where one is wanted. Calls are made one after the other, in
// every window of the app, so that they arrive in the order of their counts.
const call = (...what) => navigator.locks.request("countersign-app", () => callNow(...what));

async function callNow(verb, fields, wanted) {
  const app = await count();
  const now = await moment();
  const signed = statement("countersign " + verb, location.host, app.handle, now.moment, app.count, ...Object.values(fields));
  const gesture = wanted && app.gesture ? await showGesture(app.gesture, signed) : "";
  const signature = base64url(await sign(app, signed));
  return post("/app/" + verb, { ...fields, app: app.handle, moment: now.moment, count: app.count, signature, gesture, "form-token": now.token });
}

// A gesture is a fingerprint, a face or a PIN that the device asks its owner for,
// with a WebAuthn credential of the app's own: for one statement, by its hash.
const api = window.PublicKeyCredential;
const canGesture = async () => Boolean(api?.parseCreationOptionsFromJSON && api.prototype.toJSON && await api.isUserVerifyingPlatformAuthenticatorAvailable());

async function gestured(asked) {
  const credential = await asked.catch(() => { throw Object.assign(new Error("Your device did not check that it is you. Try again."), { unshown: true }); });
  return credential.toJSON();
}
const makeGesture = async (app, options, code, point) => gestured(navigator.credentials.create({ publicKey: api.parseCreationOptionsFromJSON({
  ...options, challenge: base64url(await hash(statement("countersign gesture", code, point))), user: { id: app.handle, name: "Countersign app", displayName: "Approvals in the Countersign app" } }) }));
const showGesture = async (id, signed) => JSON.stringify(await gestured(navigator.credentials.get({ publicKey: {
  challenge: await hash(signed), allowCredentials: [{ type: "public-key", id: unbase64url(id) }], userVerification: "required" } })));

async function attempt(act) {
  say("problem", "");
  try {
    await act();
  } catch (e) {
    say("problem", e instanceof TypeError ? "Countersign cannot be reached. Look at your connection." : e.message);
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
  if (!number || link.origin !== location.origin || link.pathname !== location.pathname) throw new Error("That picture is not of this Countersign. Look at the address of the page that shows it.");
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
    .catch(() => { throw new Error("The camera cannot be used. Type the number."); });
  show("camera");
  const number = await seen(new BarcodeDetector({ formats: ["qr_code"] })).finally(unscan);
  if (number) await look(at("number").value = number);
}
const canScan = async () => navigator.mediaDevices && (await window.BarcodeDetector?.getSupportedFormats())?.includes("qr_code");

let waiting; // what was found, with the number as it was typed

async function look(number) {
  waiting = undefined;
  const found = await call("look", { number });
  at("filled").hidden = true;
  waiting = { ...found, number };
  at("application").textContent = found.application;
  at("act").textContent = found.action ? ", to do: " + found.action : "";
  at("who").textContent = found.name;
  at("place").textContent = found.place || "";
  at("from").textContent = found.from || "an unknown address";
  at("by").textContent = found.by;
  at("created").textContent = found.created;
  show("found");
}

const said = {
  approve: "Approved. The other device goes on by itself, or press Enter there.",
  deny: "Refused. If you did not begin it, your password is known to somebody: change it.",
  "not-me": "Refused. Your sessions were ended, your password is switched off unless you administer alone, and your administrators were told.",
};

async function decide(decision) {
  const { id, number, text } = waiting;
  const over = () => { waiting = undefined; at("number").value = ""; show("ask"); };
  await call("answer", { id: String(id), number, text, decision }, decision === "approve").catch((e) => {
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
  if (await Notification.requestPermission() !== "granted") throw new Error("This browser was told not to show notices.");
  const { pushKey } = await moment();
  const registration = await navigator.serviceWorker.ready;
  const to = (await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: unbase64url(pushKey) })
    .catch(() => { throw new Error("This browser has no push service. The app works without: open it and type the number."); })).toJSON();
  await call("move", { endpoint: to.endpoint, p256dh: to.keys.p256dh, auth: to.keys.auth });
  at("wake").hidden = true;
  say("done", "This device will be woken.");
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
  if (app && registration?.pushManager) at("wake").hidden = Boolean(await registration.pushManager.getSubscription());
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
