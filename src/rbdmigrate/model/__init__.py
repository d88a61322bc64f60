"""Pure data: image specs, layout options, migrations and what was observed of them. No I/O."""
