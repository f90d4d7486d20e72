"use strict";
const answer = document.getElementById("answer");
document.getElementById("image").addEventListener("change", async (event) => {
  const response = await fetch("/classify", { method: "POST", body: event.target.files[0] });
  answer.textContent = JSON.stringify(await response.json(), null, 2);
});
