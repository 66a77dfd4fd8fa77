/** The same from a CommonJS module, which Node 20.19 and newer let require an ES module. */
import core = require('evenkeel/core');

export const isLate = (error: unknown): boolean => core.isEvenkeelError(error, 'deadline-exceeded');
