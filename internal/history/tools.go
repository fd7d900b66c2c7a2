package history

// Tool is a schema migration tool, by a name that is good in configuration
// and output.
type Tool string

// The tools whose version tables [Find] recognises.
const (
	Alembic       Tool = "alembic"
	Atlas         Tool = "atlas"
	Dbmate        Tool = "dbmate" // or a Rails older than 5, which leaves the same table
	Diesel        Tool = "diesel"
	Django        Tool = "django"
	Drizzle       Tool = "drizzle"
	Ecto          Tool = "ecto"
	EFCore        Tool = "efcore"
	Flyway        Tool = "flyway"
	GolangMigrate Tool = "golang-migrate"
	Goose         Tool = "goose"
	Knex          Tool = "knex"
	Laravel       Tool = "laravel"
	Liquibase     Tool = "liquibase"
	NodePgMigrate Tool = "node-pg-migrate"
	Pgroll        Tool = "pgroll"
	Prisma        Tool = "prisma"
	Rails         Tool = "rails"
	Refinery      Tool = "refinery"
	Sequelize     Tool = "sequelize"
	SQLx          Tool = "sqlx"
	Tern          Tool = "tern"
	TypeORM       Tool = "typeorm"
)

// Title is the tool's name as its own documentation writes it.
func (t Tool) Title() string {
	switch t {
	case Alembic:
		return "Alembic"
	case Atlas:
		return "Atlas"
	case Diesel:
		return "Diesel"
	case Django:
		return "Django"
	case Drizzle:
		return "Drizzle"
	case Ecto:
		return "Ecto"
	case EFCore:
		return "EF Core"
	case Flyway:
		return "Flyway"
	case Knex:
		return "Knex"
	case Laravel:
		return "Laravel"
	case Liquibase:
		return "Liquibase"
	case Prisma:
		return "Prisma"
	case Rails:
		return "Rails"
	case Sequelize:
		return "Sequelize"
	case TypeORM:
		return "TypeORM"
	default: // the others write themselves in small letters
		return string(t)
	}
}
