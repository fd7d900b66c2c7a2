package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
)

func TestURLsOfPythonServices(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"postgresql+asyncpg://app:p%40w@h:5432/db":                            "postgresql://app:p%40w@h:5432/db",
		"postgresql+asyncpg://app:pw@h/db?ssl=require&async_fallback=true":    "postgresql://app:pw@h/db?sslmode=require",
		"postgresql+asyncpg://app@h/db?prepared_statement_cache_size=0":       "postgresql://app@h/db",
		"postgresql+psycopg://app@h/db?sslmode=disable&application_name=auth": "postgresql://app@h/db?application_name=auth&sslmode=disable",
		"postgres+psycopg2:///db?host=/run/postgresql":                        "postgres:///db?host=%2Frun%2Fpostgresql",
		"postgresql://app:pw@h/db?sslmode=disable":                            "postgresql://app:pw@h/db?sslmode=disable",
		"host=h user=app password='a+b://c' dbname=db":                        "host=h user=app password='a+b://c' dbname=db",
		"mysql+pymysql://app@h/db":                                            "mysql+pymysql://app@h/db",
	} {
		db := config.Database{URL: config.URL(url)}
		conn, err := db.ConnString()
		require.NoError(t, err)
		require.Equal(t, want, conn)
		program, err := db.ProgramURL()
		require.NoError(t, err)
		require.Equal(t, url, program, "programs get what was configured")
		listen, err := config.Database{URL: "postgres://other", ListenURL: config.URL(url)}.ListenConnString()
		require.NoError(t, err)
		require.Equal(t, want, listen)
	}
}

func TestURLsOfPythonServicesAreValid(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Databases["auth"] = config.Database{URL: "postgresql+asyncpg://app:pw@h/db?ssl=require", Schema: config.DefaultSchema()}
	require.NoError(t, cfg.Validate())
	cfg.Databases["auth"] = config.Database{URL: "mysql+pymysql://app:hunter2@h/db", Schema: config.DefaultSchema()}
	err := cfg.Validate()
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}
