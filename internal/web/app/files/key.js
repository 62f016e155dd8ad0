// What the page and the worker share: the app's key, which no script can read out, what it
// signs, and where the browser's push service wakes this device.

// t is a text in the language of the page, which brings what its language has; the worker has
// what the page kept for it.
let texts = {};
const t = (text) => texts[text] ?? text;
const readTexts = () => store("readonly", (s) => s.get("texts"));
const writeTexts = (value) => store("readwrite", (s) => s.put(value, "texts"));

const bytes = (text) => new TextEncoder().encode(text);
const base64url = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const unbase64url = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

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

async function answered(response) {
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw Object.assign(new Error(body.problem ?? t("That did not work. Try again.")), { reason: body.reason });
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

async function callNow(verb, fields, gesture) {
  const app = await count();
  const now = await moment();
  const signed = statement("countersign " + verb, location.host, app.handle, now.moment, app.count, ...Object.values(fields));
  const shown = gesture && app.gesture ? await gesture(app.gesture, signed) : "";
  const signature = base64url(await sign(app, signed));
  return post("/app/" + verb, { ...fields, app: app.handle, moment: now.moment, count: app.count, signature, gesture: shown, "form-token": now.token });
}

// subscribed asks the browser for an address where it is woken, by this server's key. One
// that was made for another key is no use.
async function subscribed(registration) {
  const key = unbase64url((await moment()).pushKey);
  const old = await registration.pushManager.getSubscription();
  const made = old?.options?.applicationServerKey;
  if (old && (!made || base64url(made) === base64url(key))) return old; // some browsers do not say
  await old?.unsubscribe();
  return registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
}

// moveTo tells the server where this device is woken. The server compares, so that it may
// be told as often as the app likes.
function moveTo(subscription) {
  const to = subscription.toJSON();
  return call("move", { endpoint: to.endpoint, p256dh: to.keys.p256dh, auth: to.keys.auth });
}

// compare has the server know the browser's own address for this device: not so after the
// app was removed and added again, or when the push service gave another one. It asks the
// owner nothing, and reports whether this device is woken.
async function compare(registration) {
  const have = await registration.pushManager.getSubscription();
  if (!have) return false;
  await moveTo(await subscribed(registration));
  return true;
}
