"""What administrators are warned of: health warnings, decided from plain facts. Pure."""
