package logging

// NewLogger is newLogger.
var NewLogger = newLogger
