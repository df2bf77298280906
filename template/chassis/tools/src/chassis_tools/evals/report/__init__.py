"""One `report.json`, and the four forms that people and machines read it in."""
