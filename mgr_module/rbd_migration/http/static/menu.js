// Adds to the Ceph dashboard: "Live migration" under Block in the menu, and in the list of images a link from each image
// that takes part in a migration to that. The dashboard draws both again as it likes, so this is done again whenever
// the document changes.
'use strict';

(() => {
  const MARK = 'rbd-migration-menu';
  const LINK = 'rbd-migration-link';
  const TITLE = 'Live migration';
  const FRESH = 20000; // milliseconds after which the migrations are asked for again
  const page = (path) => new URL('rbd-migration/' + path, document.baseURI).href;

  // -- the menu --

  // The innermost element with the text, so that what styles it stays.
  const wordOf = (element) => {
    const inner = [...element.children].find((child) => child.textContent.trim() === element.textContent.trim());
    return inner ? wordOf(inner) : element;
  };

  let neighbour = null; // a copy of the images' entry from when ours was made

  const addEntry = () => {
    const images = document.querySelector('.tc_submenuitem_block_images');
    const former = images?.parentNode.querySelector('.' + MARK);
    if (!images || (former && images.isEqualNode(neighbour))) {
      return;
    }
    // Ceph 20 adds the entry first and takes the space of its missing icon away afterwards.
    former?.remove();
    neighbour = images.cloneNode(true);
    const entry = images.cloneNode(true);
    entry.classList.remove('tc_submenuitem_block_images', 'active');
    entry.classList.add(MARK);
    const link = entry.querySelector('a') || entry;
    for (const one of [entry, ...entry.querySelectorAll('*')]) {
      one.classList.remove('active', 'cds--side-nav__link--current');
      one.removeAttribute('aria-current');
      if (one.hasAttribute('title')) {
        one.setAttribute('title', TITLE);
      }
    }
    link.removeAttribute('routerlink');
    link.setAttribute('href', page(''));
    wordOf(link).textContent = TITLE;
    images.after(entry);
  };

  // -- the list of images --

  let migrations = new Map(); // image spec -> report
  let askedAt = -Infinity;

  const ask = async () => {
    if (performance.now() - askedAt < FRESH) {
      return;
    }
    askedAt = performance.now();
    const headers = { Accept: 'application/vnd.ceph.api.v1.0+json' };
    const address = new URL('api/block/migration?limit=1000', document.baseURI).href;
    try {
      const answer = await fetch(address, { headers, credentials: 'same-origin' });
      const found = answer.ok ? await answer.json() : [];
      migrations = new Map(found.flatMap((one) => [[one.source, one], [one.target, one]]));
    } catch (error) {
      console.debug('The migrations are not known:', error);
    }
    soon();
  };

  // The columns of name, pool and namespace; null where the table has other names for them.
  const columnsOf = (list) => {
    const heads = [...list.querySelectorAll('datatable-header-cell, thead th')].map((head) => head.textContent.trim());
    const [name, pool, namespace] = ['Name', 'Pool', 'Namespace'].map((word) => heads.indexOf(word));
    return name < 0 || pool < 0 ? null : { name, pool, namespace };
  };

  const ownText = (cell) => {
    const copy = cell.cloneNode(true);
    copy.querySelector('.' + LINK)?.remove();
    return copy.textContent.trim();
  };

  const linkImages = () => {
    const list = document.querySelector('cd-rbd-list');
    const columns = list && columnsOf(list);
    if (!columns) {
      return;
    }
    ask();
    for (const row of list.querySelectorAll('datatable-body-row, tbody tr')) {
      const cells = row.querySelectorAll('datatable-body-cell, td');
      if (cells.length > Math.max(columns.name, columns.pool, columns.namespace)) {
        const namespace = columns.namespace < 0 ? '' : ownText(cells[columns.namespace]);
        const place = ownText(cells[columns.pool]) + '/' + (/^[-–]?$/.test(namespace) ? '' : namespace + '/');
        show(cells[columns.name], migrations.get(place + ownText(cells[columns.name])));
      }
    }
  };

  const show = (cell, report) => {
    let link = cell.querySelector('.' + LINK);
    if (!report) {
      link?.remove();
      return;
    }
    const text = `Migration: ${report.state} ${report.percent}%`;
    const href = page('#/migrations/' + encodeURIComponent(report.target));
    if (!link) {
      link = document.createElement('a');
      link.className = LINK;
      link.style.marginLeft = '0.6em';
      link.addEventListener('click', (event) => event.stopPropagation()); // not a click on the row
      (cell.querySelector('.datatable-body-cell-label') || cell).append(link);
    }
    if (link.textContent !== text || link.href !== href) {
      link.textContent = text;
      link.href = href;
    }
  };

  let waiting = false;
  function soon() {
    if (waiting) {
      return;
    }
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      addEntry();
      linkImages();
    });
  }
  new MutationObserver(soon).observe(document.documentElement, { childList: true, subtree: true });
  soon();
})();
