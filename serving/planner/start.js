// Says so where a module of the page did not come: the service refuses some when it is busy.
// It is no module itself, and comes before them, so that it hears of every one that is missing.

addEventListener("error", tellMissing, true);

function tellMissing() {
  const place = document.getElementById("start");
  // Once the page has started, its own words stand there.
  if (!place) return;
  const title = document.createElement("strong");
  title.textContent = "The page could not start";
  const words = document.createElement("p");
  words.append(title, " – A part of it did not load; the service may be busy.");
  const reload = document.createElement("a");
  reload.href = "/";
  reload.textContent = "Reload the page";
  reload.addEventListener("click", (event) => {
    // The address alone would lead away from the store that was asked for.
    event.preventDefault();
    location.reload();
  });
  const told = document.createElement("div");
  told.className = "notice failure";
  told.setAttribute("role", "alert");
  told.append(words, reload);
  place.replaceWith(told);
}
