// Draws each chart of a page from the JSON block beside it, in the page's own colours. Figures are made in Python.
"use strict";

(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 560px)");

  function colours() {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    return {
      series: [1, 2, 3, 4, 5, 6, 7].map((number) => read(`--series-${number}`)),
      ink: read("--ink"), soft: read("--soft"), line: read("--line"), card: read("--card"), sans: read("--sans"),
      good: read("--good"), bad: read("--bad"), warn: read("--warn"),
    };
  }

  function dressed(layout) {
    const { ink, soft, line, card, sans } = colours();
    const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, tickfont: { color: soft } };
    return {
      ...layout,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: sans, size: 12, color: soft },
      hoverlabel: { bgcolor: card, bordercolor: line, font: { color: ink, family: sans, size: 12 } },
      xaxis: { ...layout.xaxis, ...axis, nticks: narrow.matches ? 4 : 10 },
      yaxis: { ...layout.yaxis, ...axis, nticks: 5 },
    };
  }

  function coloured(data) {
    const { series, ...named } = colours();
    return data.map((trace) => {
      const color = series[trace.meta.colour] ?? named[trace.meta.colour];
      const painted = { ...trace, marker: { ...trace.marker, color } };
      if (trace.type === "scatter") painted.line = { ...trace.line, color };
      if (trace.error_y) painted.error_y = { ...trace.error_y, color };
      return painted;
    });
  }

  function draw(block) {
    const place = document.getElementById(block.dataset.chart);
    const figure = JSON.parse(block.textContent);
    place.replaceChildren();
    const box = place.appendChild(document.createElement("div"));
    window.Plotly.newPlot(box, coloured(figure.data), dressed(figure.layout), { displayModeBar: false, responsive: true });
  }

  const blocks = [...document.querySelectorAll('script[type="application/json"][data-chart]')];
  const drawAll = () => blocks.forEach(draw);
  drawAll();
  dark.addEventListener("change", drawAll);
  narrow.addEventListener("change", drawAll);
})();
