// A report: the charts that the page has as JSON, one section each, drawn again when the width changes.

const content = JSON.parse(document.getElementById("content").textContent);
const DRAWN = { curves, calibration, bars, intervals };

function section(chart) {
  const holder = make("div", { className: "chart" });
  const found = make("section", {}, make("h3", { textContent: chart.title }));
  if (chart.about) found.append(make("p", { className: "about", textContent: chart.about }));
  const draw = () => DRAWN[chart.kind](holder, { name: chart.title, words: chart.about, ...chart.content });
  if (chart.kind in DRAWN) found.append(holder);
  if (chart.rows.length) {
    const rows = make("table");
    table(rows, chart.title, chart.heads, chart.rows);
    const shown = chart.kind in DRAWN ? make("details", {}, make("summary", { textContent: "Table" }), rows) : rows;
    found.append(shown);
  }
  document.querySelector("main").append(found);
  if (chart.kind in DRAWN) draw();
  return { holder, draw, width: holder.clientWidth };
}

const sections = content.map(section).filter((each) => each.holder.isConnected);
addEventListener("resize", () => {
  for (const each of sections) {
    if (each.holder.clientWidth === each.width) continue;
    each.width = each.holder.clientWidth;
    each.draw();
  }
});
