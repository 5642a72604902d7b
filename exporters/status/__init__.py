"""The status of the node for people: a view model, and the page that shows it."""
