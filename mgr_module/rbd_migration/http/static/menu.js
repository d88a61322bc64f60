// Adds "Live migration" under Block in the Ceph dashboard's menu. The dashboard redraws its menu
// at every login, so the entry is added again whenever the document changes without it.
'use strict';

(() => {
  const MARK = 'rbd-migration-menu';

  const add = () => {
    const images = document.querySelector('.tc_submenuitem_block_images');
    if (!images || images.parentNode.querySelector('.' + MARK)) {
      return;
    }
    const entry = images.cloneNode(true);
    entry.classList.remove('tc_submenuitem_block_images', 'active');
    entry.classList.add(MARK);
    const link = entry.querySelector('a') || entry;
    link.classList.remove('active');
    link.removeAttribute('routerlink');
    link.setAttribute('href', new URL('rbd-migration/', document.baseURI).href);
    link.textContent = 'Live migration';
    images.after(entry);
  };

  let asked = false;
  new MutationObserver(() => {
    if (!asked) {
      asked = true;
      requestAnimationFrame(() => {
        asked = false;
        add();
      });
    }
  }).observe(document.documentElement, { childList: true, subtree: true });
  add();
})();
