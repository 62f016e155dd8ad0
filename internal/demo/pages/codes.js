// Keeps the codes on the page those of the moment. Without it a link does.
addEventListener("DOMContentLoaded", () => {
  const list = document.getElementById("codes");
  const renew = async () => {
    const answer = await fetch("/codes", { cache: "no-store" });
    if (!answer.ok) return;
    const { left, codes } = await answer.json();
    for (const place of document.querySelectorAll("[data-code]")) place.textContent = codes[place.dataset.code];
    setTimeout(renew, left * 1000);
  };
  setTimeout(renew, Number(list.dataset.left) * 1000);
});
