"use strict";
// A page of something that runs asks for itself again. Not while a part of it is in use.
const seconds = Number(document.body.dataset.refresh);
const isUsed = () =>
  document.activeElement.matches("input, select, textarea") ||
  document.querySelector("details[open]") !== null ||
  getSelection().toString() !== "";
if (seconds) setInterval(() => isUsed() || location.reload(), seconds * 1000);
