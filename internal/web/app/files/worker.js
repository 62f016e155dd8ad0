// The worker shows the app's page when there is no network, and rings when the
// server wakes it. It never answers anything by itself: a notice has no buttons.

const policy = self.trustedTypes?.createPolicy("countersign-app", { createScriptURL: (u) => { if (u !== "/app/key.js") throw new TypeError("another script"); return u; } });
importScripts(policy ? policy.createScriptURL("/app/key.js") : "/app/key.js");

const shell = "countersign-shell-1";
const parts = ["/app/", "/app/app.js", "/app/key.js", "/app/manifest.webmanifest"];

// fill keeps the page and what it names before it is needed.
async function fill() {
  const cache = await caches.open(shell);
  const page = await (await fetch("/app/")).text();
  await cache.addAll([...parts, ...new Set(page.match(/\/assets\/[\w.-]+/g))]);
}

addEventListener("install", (e) => e.waitUntil(fill().then(skipWaiting)));
addEventListener("activate", (e) => e.waitUntil(clients.claim()));

// keep remembers what the page is made of, as it was fetched last.
async function keep(request) {
  const cache = await caches.open(shell);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch {
    return (await cache.match(request, { ignoreSearch: true })) ?? Response.error();
  }
}

addEventListener("fetch", (e) => {
  const at = new URL(e.request.url);
  if (e.request.method !== "GET" || at.origin !== location.origin) return;
  if (parts.includes(at.pathname) || at.pathname.startsWith("/assets/")) e.respondWith(keep(e.request));
});

async function ring() {
  texts = (await readTexts().catch(() => {})) ?? {};
  await registration.showNotification(t("Somebody signs in as you"), {
    body: t("If it is you, open the app and type the number that is shown there."),
    tag: "countersign", // one notice, however many pushes
  });
}
addEventListener("push", (e) => e.waitUntil(ring()));

// The push service gave this browser another address, or took the old one back: the server
// is told at once, because nobody may open the app for weeks.
addEventListener("pushsubscriptionchange", (e) => e.waitUntil((async () => {
  if (await read()) await moveTo(await subscribed(registration));
})()));

addEventListener("notificationclick", (e) => {
  e.notification.close();
  e.waitUntil((async () => {
    for (const open of await clients.matchAll({ type: "window" })) if (new URL(open.url).pathname === "/app/") return open.focus();
    return clients.openWindow("/app/");
  })());
});
