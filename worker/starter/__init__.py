"""The starter world and the two small bases trained from it, so that Graft works out of the box."""
