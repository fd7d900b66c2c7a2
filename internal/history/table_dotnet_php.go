package history

func laravelSignature() signature {
	return signature{
		tool:    Laravel,
		table:   "migrations",
		columns: map[string]kind{"id": integer, "migration": text, "batch": integer},
		exact:   true,
		read: list("migration", "ORDER BY batch, id",
			"INSERT INTO migrations (migration, batch) VALUES ('NAME', 1), for every migration"),
	}
}

// efCoreSignature is in mixed case, table and columns.
func efCoreSignature() signature {
	return signature{
		tool:    EFCore,
		table:   "__EFMigrationsHistory",
		columns: map[string]kind{"MigrationId": text, "ProductVersion": text},
		read: list(`"MigrationId"`, `ORDER BY "MigrationId"`,
			`INSERT INTO "__EFMigrationsHistory" ("MigrationId", "ProductVersion") VALUES ('ID', 'VERSION OF EF CORE'), for every migration`),
	}
}

// efCoreSnakeSignature is what the naming convention plug-in makes of it.
func efCoreSnakeSignature() signature {
	return signature{
		tool:    EFCore,
		table:   "__EFMigrationsHistory",
		columns: map[string]kind{"migration_id": text, "product_version": text},
		read: list("migration_id", "ORDER BY migration_id",
			`INSERT INTO "__EFMigrationsHistory" (migration_id, product_version) VALUES ('ID', 'VERSION OF EF CORE'), for every migration`),
	}
}
