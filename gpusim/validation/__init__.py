"""Published measurements beside what the model gives: data in `validation/paper`, loaded, run and compared here."""
