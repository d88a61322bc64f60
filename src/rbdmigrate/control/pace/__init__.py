"""When copies may run and how fast: windows, timetables, gates, shares. Pure."""
