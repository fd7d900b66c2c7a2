package control

// ProgressSQL reads the progress of migrations.
const ProgressSQL = progressSQL

// SamplesSQL and PageOfJobs read pages of what has finished.
const (
	SamplesSQL = samplesSQL
	PageOfJobs = pageOfJobs
)

// Supported judges a server's version.
var Supported = supported
