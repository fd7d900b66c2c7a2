package control

// ProgressSQL reads the progress of migrations.
const ProgressSQL = progressSQL
