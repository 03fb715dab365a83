"""Three newcomers who follow the documents, and their typical mistakes."""
