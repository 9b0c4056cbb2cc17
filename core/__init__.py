"""What every room needs: errors, records, file names, storage. It imports no other room."""
