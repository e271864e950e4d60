"""What every page must keep to, looked at in the browser by hand: width, targets, labels, headings, contrast, focus."""

from typing import Any

from playwright.async_api import Page

# Small enough to read: each returns what is wrong.
_WRONG = """() => {
  const wrong = [];
  const name = e => `${e.tagName.toLowerCase()} ${(e.textContent || e.value || '').trim().slice(0, 40)}`;
  const doc = document.documentElement;
  if (doc.scrollWidth > doc.clientWidth) wrong.push(`scrolls sideways: ${doc.scrollWidth} > ${doc.clientWidth}`);
  if (!doc.lang) wrong.push('no lang');
  if (!document.title) wrong.push('no title');
  if (document.querySelectorAll('h1').length !== 1) wrong.push('not one h1');
  if (document.querySelectorAll('main').length !== 1) wrong.push('not one main');
  let level = 0;
  for (const h of document.querySelectorAll('h1,h2,h3')) {
    const now = Number(h.tagName[1]);
    if (now > level + 1) wrong.push(`heading leaps: ${name(h)}`);
    level = now;
  }
  for (const e of document.querySelectorAll('a[href],button,input:not([type=hidden])')) {
    const target = e.closest('label') || e, box = target.getBoundingClientRect();
    if (box.width < 24 || box.height < 24) wrong.push(`small target ${Math.round(box.width)}x${Math.round(box.height)}: ${name(target)}`);
    const said = e.matches('input') ? [...e.labels].map(l => l.textContent.trim()).join('') : e.textContent.trim();
    if (!said) wrong.push(`no name: ${e.outerHTML.slice(0, 80)}`);
    if (e.tabIndex > 0) wrong.push(`own tab order: ${name(e)}`);
  }
  for (const f of document.querySelectorAll('fieldset')) {
    if (!f.querySelector('legend')?.textContent.trim()) wrong.push('fieldset without legend');
  }
  for (const e of document.querySelectorAll('[id]')) if (document.querySelectorAll(`#${e.id}`).length > 1) wrong.push(`id twice: ${e.id}`);
  if (document.querySelectorAll('script,[style],[onclick]').length) wrong.push('script or style inline');
  const light = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const rgb = s => s.match(/[\\d.]+/g).map(Number);
  const behind = e => {
    for (let n = e; n; n = n.parentElement) {
      const c = rgb(getComputedStyle(n).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim()) continue;
    const a = light(rgb(getComputedStyle(e).color).slice(0, 3)), b = light(behind(e).slice(0, 3));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) wrong.push(`contrast ${ratio.toFixed(2)}: ${name(e)}`);
  }
  return wrong;
}"""
_FOCUSED = """() => {
  const e = document.activeElement, style = getComputedStyle(e);
  return {what: e === document.body ? '' : (e.value || e.getAttribute('href') || e.textContent).trim(),
          outline: style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth)};
}"""


async def wrong_with(page: Page) -> list[str]:
    """Everything that a person with a small screen, a keyboard, poor sight or a screen reader would stumble over."""
    await page.wait_for_function("document.readyState === 'complete'")  # What was clicked may still be on its way.
    found: list[str] = await page.evaluate(_WRONG)
    return found


async def focused(page: Page) -> dict[str, Any]:
    """What has the focus, and how wide the line around it is."""
    found: dict[str, Any] = await page.evaluate(_FOCUSED)
    return found
