"""Pure decisions: what is the next step, who may take it, when to try again. No I/O, no clock."""
